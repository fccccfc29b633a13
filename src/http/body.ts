/** The pictures of a request: its whole body, or the parts named `image` of a form. */
import type { FastifyRequest } from 'fastify';
import { DimmerError } from '../errors.js';

/** The code of Fastify's own errors, which have a status already. */
const isFastifyError = (error: unknown) =>
  String((error as { code?: string } | undefined)?.code ?? '').startsWith('FST_');

function invalid(detail: string): DimmerError {
  return new DimmerError('invalid-request', {
    detail,
    expected: 'the bytes of one picture, or multipart/form-data with one or more parts named image',
    action: 'for instance: curl --data-binary @cat.jpg .../classify, or curl -F image=@cat.jpg .../classify',
  });
}

/** Raises DimmerError invalid-request, or Fastify's error for what is too large or too many. */
export async function picturesOf(request: FastifyRequest): Promise<Uint8Array[]> {
  if (!request.isMultipart()) {
    // Fastify leaves the body undefined if there is none; an empty picture is refused as any other that is none.
    return [(request.body as Buffer | undefined) ?? new Uint8Array()];
  }
  const pictures: Uint8Array[] = [];
  try {
    for await (const part of request.parts()) {
      if (part.type !== 'file') throw invalid(`the form has a field ${JSON.stringify(part.fieldname)} that is no file`);
      if (part.fieldname !== 'image') throw invalid(`the form has a file named ${JSON.stringify(part.fieldname)}`);
      pictures.push(await part.toBuffer());
    }
  } catch (error) {
    if (error instanceof DimmerError || isFastifyError(error)) throw error;
    throw invalid(`the form cannot be read: ${(error as Error).message}`);
  }
  if (pictures.length === 0) throw invalid('the form has no part named image');
  return pictures;
}
