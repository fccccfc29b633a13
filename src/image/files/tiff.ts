/** TIFF: the first directory (TIFF 6.0, section 2; BigTIFF). */
import { type FirstPicture, unsupported } from './first-picture.js';

const EXPECTED = 'a TIFF of 8 or 16 unsigned bits for a sample: grey, palette, RGB, CMYK or Lab';

/** Of field types: bytes of one value. */
const TYPE_BYTES: Record<number, number> = { 1: 1, 3: 2, 4: 4, 16: 8 };

/** What libtiff reads here, and the names of what it does not. */
const COMPRESSIONS: Record<number, string> = {
  6: 'compressed with old-style JPEG',
  34676: 'compressed with SGILog',
  34677: 'compressed with SGILog',
  34712: 'compressed with JPEG 2000',
  33003: 'compressed with JPEG 2000',
  33005: 'compressed with JPEG 2000',
  34661: 'compressed with JBIG',
  34887: 'compressed with LERC',
  34925: 'compressed with LZMA',
  50000: 'compressed with Zstandard',
  50001: 'compressed with WebP',
  50002: 'compressed with JPEG XL',
  52546: 'compressed with JPEG XL',
};
const READ_COMPRESSIONS = new Set([1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946]);

const FORMATS: Record<number, string> = {
  2: 'signed integer',
  3: 'floating-point',
  4: 'untyped',
  5: 'complex integer',
  6: 'complex floating-point',
};

const TAG = {
  subfileType: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  samples: 277,
  rowsPerStrip: 278,
  planar: 284,
  tileWidth: 322,
  tileHeight: 323,
  format: 339,
} as const;

type Tags = ReadonlyMap<number, number>;

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
  if (directory) check(directory.tags);
  return {
    kind: 'TIFF',
    bytes: directory && directory.next !== 0 ? alone(bytes, directory) : bytes,
    memoryBytes: ({ width, height, channels, bytesPerSample }) => {
      const rows = directory?.tags.get(TAG.tileHeight) ?? directory?.tags.get(TAG.rowsPerStrip) ?? height;
      return 4 * Math.min(height, rows) * width * channels * bytesPerSample;
    },
  };
}

/** Refuses what the loader would take for something else, and what it cannot read but is whole. */
function check(tags: Tags): void {
  const of = (tag: number, otherwise: number) => tags.get(tag) ?? otherwise;
  const [bits, format, compression] = [of(TAG.bits, 1), of(TAG.format, 1), of(TAG.compression, 1)];
  const sort = FORMATS[format] ?? 'unsigned integer';
  if (format !== 1 && format !== 4) throw unsupported(`a TIFF of ${sort} samples`, EXPECTED);
  if (![1, 2, 4, 8, 16].includes(bits)) throw unsupported(`a TIFF of ${bits} bits for a sample`, EXPECTED);
  if (!READ_COMPRESSIONS.has(compression))
    throw unsupported(
      `a TIFF ${COMPRESSIONS[compression] ?? `of compression ${compression}`}`,
      'a TIFF uncompressed, or compressed with LZW, Deflate, JPEG or PackBits',
    );
  // NewSubfileType, bit 0: a smaller version of another picture of the file, as raw camera files begin with.
  if (of(TAG.subfileType, 0) & 1)
    throw unsupported(
      'a TIFF that begins with a thumbnail, as raw files of cameras do',
      'a TIFF whose first page is the picture',
    );
}

function alone(bytes: Buffer, { nextAt, placeBytes }: Directory): Buffer {
  return Buffer.from(bytes).fill(0, nextAt, nextAt + placeBytes);
}

/** undefined if there is none within the file: the loader says what is wrong with it. */
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
