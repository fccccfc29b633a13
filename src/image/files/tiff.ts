/** TIFF: reads the first directory, and cuts off the others (TIFF 6.0, section 2; BigTIFF). */
import { type FirstPicture, invalid, type PixelFacts, rowsBytes } from './first-picture.js';
import { checkTiff, JPEG, SEPARATE, TAG, type Tags } from './tiff-sorts.js';

/** libvips reads strips with more rows than this line by line. */
const STRIP_ROWS = 128;

/** Number of a field type -> bytes of one value, for whole numbers. */
const TYPE_BYTES: Record<number, number> = { 1: 1, 3: 2, 4: 4, 16: 8 };

interface Directory {
  /** Tags with whole numbers. */
  readonly tags: Tags;
  /** Offset in the file at which the offset of the next directory is written. */
  readonly nextAt: number;
  /** Length of that number in bytes. */
  readonly placeBytes: 4 | 8;
  /** Offset of the next directory; 0 if there is none. */
  readonly next: number;
}

/** The first page of a TIFF file. Raises DimmerError unsupported-media or invalid-image. */
export function readTiff(bytes: Buffer): FirstPicture {
  const directory = readDirectory(bytes);
  if (!directory) throw invalid('the TIFF is cut off: it has no whole directory');
  checkTiff(directory.tags);
  return {
    kind: 'TIFF',
    bytes: directory.next !== 0 ? withoutOtherPages(bytes, directory) : bytes,
    memoryBytes: (pixels) => rowsBytes(pixels) + unitsBytes(directory.tags, pixels, bytes.length),
  };
}

/** Memory in bytes for the part of the picture that is decoded at a time: two rows of tiles, or some lines of a strip. */
function unitsBytes(tags: Tags, { width, height, bytesPerPixel }: PixelFacts, fileBytes: number): number {
  const tile = tags.get(TAG.tileWidth);
  const rows = tags.get(tile === undefined ? TAG.rowsPerStrip : TAG.tileHeight) ?? height;
  // Strips are read line by line unless planes are separate or JPEG compression needs whole strips; tiles are read
  // whole.
  const byLine = tile === undefined && tags.get(TAG.planar) !== SEPARATE && tags.get(TAG.compression) !== JPEG;
  if (byLine) return 2.5 * Math.min(rows, STRIP_ROWS) * width * bytesPerPixel + 1.5 * fileBytes;
  return 2.5 * Math.max(tile ?? 0, width) * (tile === undefined ? Math.min(rows, height) : rows) * bytesPerPixel;
}

/** A copy that ends after this directory, so that the loader sees one page. */
function withoutOtherPages(bytes: Buffer, { nextAt, placeBytes }: Directory): Buffer {
  return Buffer.from(bytes).fill(0, nextAt, nextAt + placeBytes);
}

/** The first directory; undefined if it does not lie within the file. */
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
    // Values that do not fit into the entry lie at the offset that is there instead.
    const inside = valueCount * bytesOfOne <= placeBytes;
    const value = number(inside ? at + 4 + placeBytes : number(at + 4 + placeBytes, placeBytes), bytesOfOne);
    const tag = number(at, 2);
    if (!Number.isNaN(value) && !tags.has(tag)) tags.set(tag, value);
  }
  return { tags, nextAt, placeBytes, next };
}
