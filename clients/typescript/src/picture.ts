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

/** A stream is read to its end: a request that is sent again needs its bytes again. */
export async function toBlob(picture: Picture): Promise<Blob> {
  if (picture instanceof Blob) return picture;
  if (typeof picture === 'string' || picture instanceof URL) return new Blob([await readFile(picture)]);
  // Not every browser can iterate over a stream.
  if (picture instanceof ReadableStream) return new Response(picture).blob();
  if (picture instanceof ArrayBuffer || ArrayBuffer.isView(picture)) return new Blob([picture as ArrayBuffer]);
  const chunks: ArrayBuffer[] = [];
  for await (const chunk of picture) chunks.push(chunk as never);
  return new Blob(chunks);
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
