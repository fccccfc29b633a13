/** Pictures as callers have them, as Blobs. */

/** An encoded picture (JPEG, PNG, WebP, AVIF, GIF, TIFF): its bytes, a stream of them, or in Node the path of a file. */
export type Picture =
  | Blob
  | ArrayBuffer
  | Uint8Array
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | string
  | URL;

/** A stream is read to its end, or until the signal: a request that is sent again needs its bytes again. */
export async function toBlob(picture: Picture, signal: AbortSignal | undefined): Promise<Blob> {
  if (picture instanceof Blob) return picture;
  if (typeof picture === 'string' || picture instanceof URL) return new Blob([await readFile(picture)]);
  if (picture instanceof ArrayBuffer || ArrayBuffer.isView(picture)) return new Blob([picture as ArrayBuffer]);
  const stream = picture instanceof ReadableStream ? picture : streamOf(picture);
  const whole = stream.pipeThrough(new TransformStream<Uint8Array, Uint8Array>(), signal ? { signal } : {});
  return new Response(whole).blob();
}

/** ReadableStream.from, which not every browser has. */
function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    pull: async (controller) => {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await iterator.return?.()),
  });
}

type ReadFile = (path: string | URL) => Promise<ArrayBuffer>;
interface Node {
  readonly getBuiltinModule?: (name: 'node:fs/promises') => { readonly readFile: ReadFile };
}

/** Without an import, which browsers and their bundlers would have to resolve. */
async function readFile(path: string | URL): Promise<ArrayBuffer> {
  const { process } = globalThis as unknown as { process?: Node };
  const files = process?.getBuiltinModule?.('node:fs/promises');
  if (!files) throw new TypeError('a path can be read in Node only; expected a Blob, bytes or a stream');
  return files.readFile(path);
}
