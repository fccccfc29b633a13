/** Reads the pictures of a multipart/form-data body (RFC 7578). Every part has to be a picture. Pure. */
import { type MultipartError, make, type PartInfo } from 'multipasta';
import { DimmerError } from '../errors.js';
import { pictureTooLarge, tooManyImages } from '../image/refusals.js';

export interface FormLimits {
  readonly MAX_IMAGES: number;
  readonly MAX_IMAGE_BYTES: number;
}

const FORM = /^multipart\/form-data\s*(;|$)/i;

export const isForm = (contentType: string | undefined): contentType is string => FORM.test(contentType ?? '');

/**
 * Values of Content-Transfer-Encoding that do not change the bytes (RFC 2045, 6.2); others are deprecated (RFC 7578,
 * 4.7).
 */
const PLAIN = ['7bit', '8bit', 'binary'];

/**
 * The encoded pictures of a form, in order; they may be views of `body`. Raises DimmerError invalid-request (says which
 * part is wrong and why), too-many-images, or image-too-large (with the index of the picture).
 */
export function picturesOfForm(contentType: string, body: Buffer, limits: FormLimits): Uint8Array[] {
  const pictures: Uint8Array[][] = [];
  let parts = 0;
  let ended = false;
  const onFile = (info: PartInfo) => {
    if (ended) return () => {}; // data after the last boundary do not belong to the form (RFC 2046, 5.1.1)
    parts += 1;
    assertPicture(info, parts);
    if (pictures.length === limits.MAX_IMAGES) throw tooManyImages(limits.MAX_IMAGES);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let closed = false;
    return (chunk: Uint8Array | null) => {
      if (ended) return;
      if (chunk === null) {
        if (closed) throw invalid(`the headers of part ${parts + 1} of the form do not end`);
        closed = true;
        pictures.push(chunks);
        return;
      }
      bytes += chunk.length;
      if (bytes > limits.MAX_IMAGE_BYTES) throw pictureTooLarge(pictures.length, limits.MAX_IMAGE_BYTES);
      chunks.push(chunk);
    };
  };
  const parser = make({
    headers: { 'content-type': withoutEmptyParameter(contentType) },
    isFile: () => true,
    onFile,
    onField: () => {
      if (!ended) throw invalid(`the headers of part ${parts + 1} of the form do not end`);
    },
    onError: (error) => {
      if (!ended) throw invalid(whatFailed(error, parts + 1));
    },
    onDone: () => {
      ended = true;
    },
  });
  try {
    parser.write(body);
    parser.end();
  } catch (error) {
    if (error instanceof DimmerError) throw error;
    throw invalid(`the headers of part ${parts + 1} of the form cannot be read`);
  }
  if (!ended) throw invalid('the form does not end with its boundary');
  if (pictures.length === 0) throw invalid('the form has no part named image');
  return pictures.map((chunks) => (chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks)));
}

/** Removes a `;` at the end, which is allowed (RFC 9110, 5.6.6) but which the parser does not accept. */
function withoutEmptyParameter(contentType: string): string {
  const text = contentType.trim();
  return text.endsWith(';') ? text.slice(0, -1).trim() : text;
}

/** Raises DimmerError invalid-request unless the headers of a part are those of a picture. part: counted from 1. */
function assertPicture({ headers }: PartInfo, part: number): void {
  const header = (name: string) => [headers[name] ?? []].flat().join(', ');
  const disposition = dispositionOf(header('content-disposition'));
  const which = `part ${part} of the form`;
  if (disposition === undefined) throw invalid(`${which} has no Content-Disposition: form-data that can be read`);
  const { name } = disposition;
  if (name === undefined) throw invalid(`${which} has no name`);
  if (name !== 'image') throw invalid(`${which} is named ${JSON.stringify(name.slice(0, 100))}`);
  const transfer = header('content-transfer-encoding').trim().toLowerCase();
  if (transfer !== '' && !PLAIN.includes(transfer)) throw encoded(which, 'Content-Transfer-Encoding', transfer);
  const content = header('content-encoding').trim().toLowerCase();
  if (content !== '' && content !== 'identity') throw encoded(which, 'Content-Encoding', content);
}

const PARAMETER = /\s*;\s*([!#$%&'*+.^\w`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s;"]*))/gy;

/**
 * The name in a Content-Disposition: form-data; undefined if the header is not of that form. Accepts file names in
 * UTF-8, which browsers send although the grammar of HTTP does not allow them.
 */
function dispositionOf(header: string): { readonly name: string | undefined } | undefined {
  const kind = /^\s*form-data/i.exec(header)?.[0];
  if (kind === undefined) return undefined;
  let name: string | undefined;
  let at = kind.length;
  for (;;) {
    PARAMETER.lastIndex = at;
    const found = PARAMETER.exec(header);
    if (!found) break;
    at = PARAMETER.lastIndex;
    if (found[1]?.toLowerCase() === 'name') name ??= found[2] ?? found[3];
  }
  // No regular expression here: one with two runs of blanks would take quadratic time.
  return ['', ';'].includes(header.slice(at).trim()) ? { name } : undefined;
}

function whatFailed(error: MultipartError, part: number): string {
  switch (error._tag) {
    case 'InvalidBoundary':
      return 'Content-Type names no boundary of the form that can be read';
    case 'BadHeaders':
      return `the headers of part ${part} of the form cannot be read (${error.error.reason})`;
    case 'InvalidDisposition':
      return `part ${part} of the form has no name`;
    case 'EndNotReached':
      return 'the form does not end with its boundary';
    case 'ReachedLimit':
      return `the form is too large (${error.limit})`;
  }
}

export function invalid(detail: string): DimmerError {
  return new DimmerError('invalid-request', {
    detail,
    expected: 'the bytes of one picture, or multipart/form-data with one or more parts named image and no other',
    action: 'for instance: curl --data-binary @cat.jpg .../classify, or curl -F image=@cat.jpg .../classify',
  });
}

function encoded(which: string, header: string, value: string): DimmerError {
  return new DimmerError('invalid-request', {
    detail: `${which} has ${header}: ${value.slice(0, 100)}`,
    expected: 'the bytes of a picture as they are (RFC 7578, 4.7)',
    action: 'send the part without that header and without that encoding',
  });
}
