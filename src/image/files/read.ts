/** Recognises the format of a file by its first bytes, as libvips does, and reads its structure. */
import { readAvif } from './avif.js';
import { type FirstPicture, invalid } from './first-picture.js';
import { readGif } from './gif.js';
import { readJpeg } from './jpeg.js';
import { readPng } from './png.js';
import { readTiff } from './tiff.js';
import { readWebp } from './webp.js';

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: these are bytes
const READERS: readonly [start: RegExp, read: (bytes: Buffer) => FirstPicture | undefined][] = [
  [/^\xff\xd8\xff/, readJpeg],
  [/^\x89PNG\r\n\x1a\n/, readPng],
  [/^RIFF[\s\S]{4}WEBP/, readWebp],
  [/^GIF8[79]a/, readGif],
  [/^(II[*+]\0|MM\0[*+])/, readTiff],
  [/^[\s\S]{4}ftyp/, readAvif],
];
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: these are bytes

/**
 * The first picture of a file; undefined if the format is not supported.
 *
 * Raises DimmerError unsupported-media (intact, but an unsupported variant of the format) or invalid-image.
 */
export function readFirstPicture(bytes: Uint8Array): FirstPicture | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = buffer.toString('latin1', 0, 16);
  const read = READERS.find(([pattern]) => pattern.test(start))?.[1];
  try {
    return read?.(buffer);
  } catch (error) {
    // A header refers to bytes beyond the end of the file.
    if (error instanceof RangeError)
      throw invalid('the picture is cut off within its header, or its header is corrupt');
    throw error;
  }
}
