/** TIFF: the first directory (TIFF 6.0, section 2; BigTIFF). */
import { type FirstPicture, invalid, type PixelFacts, rowsBytes } from './first-picture.js';
import { checkTiff, JPEG, SEPARATE, TAG, type Tags } from './tiff-sorts.js';

/** libvips reads strips of more rows line by line. */
const STRIP_ROWS = 128;

/** Of field types: bytes of one value. */
const TYPE_BYTES: Record<number, number> = { 1: 1, 3: 2, 4: 4, 16: 8 };

interface Directory {
  /** The first value of each tag that is a whole number. */
  readonly tags: Tags;
  /** Where the place of the next directory is written, and how long that is. */
  readonly nextAt: number;
  readonly placeBytes: 4 | 8;
  readonly next: number;
}

export function readTiff(bytes: Buffer): FirstPicture {
  const directory = readDirectory(bytes);
  if (!directory) throw invalid('the TIFF is cut off: it has no whole directory');
  checkTiff(directory.tags);
  return {
    kind: 'TIFF',
    bytes: directory.next !== 0 ? alone(bytes, directory) : bytes,
    memoryBytes: (pixels) => rowsBytes(pixels) + unitsBytes(directory.tags, pixels, bytes.length),
  };
}

/** What is decoded at once: tiles, of which a row and one more are kept, or strips. */
function unitsBytes(tags: Tags, { width, height, bytesPerPixel }: PixelFacts, fileBytes: number): number {
  const tile = tags.get(TAG.tileWidth);
  const rows = tags.get(tile === undefined ? TAG.rowsPerStrip : TAG.tileHeight) ?? height;
  // Whole tiles, and whole strips where planes or JPEG want them; of other strips, line by line, what they are read from.
  const byLine = tile === undefined && tags.get(TAG.planar) !== SEPARATE && tags.get(TAG.compression) !== JPEG;
  if (byLine) return 2.5 * Math.min(rows, STRIP_ROWS) * width * bytesPerPixel + 1.5 * fileBytes;
  return 2.5 * Math.max(tile ?? 0, width) * (tile === undefined ? Math.min(rows, height) : rows) * bytesPerPixel;
}

function alone(bytes: Buffer, { nextAt, placeBytes }: Directory): Buffer {
  return Buffer.from(bytes).fill(0, nextAt, nextAt + placeBytes);
}

/** undefined if there is none within the file. */
function readDirectory(bytes: Buffer): Directory | undefined {
  const little = bytes[0] === 0x49;
  const big = bytes[little ? 2 : 3] === 43;
  const number = (at: number, length: number): number => {
    if (at < 0 || at + length > bytes.length) return Number.NaN;
    if (length === 8) return Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    return little ? bytes.readUIntLE(at, length) : bytes.readUIntBE(at, length);
  };
  const [placeBytes, countBytes, entryBytes] = big ? ([8, 8, 20] as const) : ([4, 2, 12] as const);
  const start = number(big ? 8 : 4, placeBytes);
  const count = number(start, countBytes);
  const nextAt = start + countBytes + count * entryBytes;
  const next = number(nextAt, placeBytes);
  if (Number.isNaN(next)) return undefined;
  const tags = new Map<number, number>();
  for (let n = 0; n < count; n++) {
    const at = start + countBytes + n * entryBytes;
    const bytesOfOne = TYPE_BYTES[number(at + 2, 2)];
    if (!bytesOfOne) continue;
    const valueCount = number(at + 4, placeBytes);
    // Values that do not fit into the entry lie elsewhere.
    const inside = valueCount * bytesOfOne <= placeBytes;
    const value = number(inside ? at + 4 + placeBytes : number(at + 4 + placeBytes, placeBytes), bytesOfOne);
    const tag = number(at, 2);
    if (!Number.isNaN(value) && !tags.has(tag)) tags.set(tag, value);
  }
  return { tags, nextAt, placeBytes, next };
}
