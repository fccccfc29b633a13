/** A PNG encoder for tests, for every bit depth and colour type, independent of the library under test. */
import { crc32, deflateSync } from 'node:zlib';

export const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function chunk(type: string, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const result = Buffer.alloc(body.length + 8);
  result.writeUInt32BE(data.length, 0);
  body.copy(result, 4);
  result.writeUInt32BE(crc32(body), body.length + 4);
  return result;
}

export interface PngSort {
  readonly width: number;
  readonly height: number;
  readonly depth: 1 | 2 | 4 | 8 | 16;
  /** Colour type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha. */
  readonly colour: 0 | 2 | 3 | 4 | 6;
  readonly interlaced?: boolean;
  /** Filter of every row: 0 none, 1 sub, 2 up. */
  readonly filter?: 0 | 1 | 2;
  /** Chunks before the pixels, and after them. */
  readonly before?: Buffer[];
  readonly after?: Buffer[];
  /** Bytes in each IDAT chunk; default: all in one chunk. */
  readonly dataBytes?: number;
}

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;
/** The passes of Adam7 interlacing: first column and row, and steps. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Encodes a PNG. sample: samples of one pixel, each 0 to 2 ** depth - 1. */
export function encodePng(sort: PngSort, sample: (x: number, y: number, channel: number) => number): Buffer {
  const { width, height, depth, colour, interlaced = false, filter = 0, before = [], after = [] } = sort;
  const rows: Buffer[] = [];
  for (const [x0, y0, dx, dy] of interlaced ? PASSES : ([[0, 0, 1, 1]] as const)) {
    let previous: Buffer = Buffer.alloc(0);
    for (let y = y0; y < height && x0 < width; y += dy) {
      const row: number[] = [];
      for (let x = x0; x < width; x += dx) for (let c = 0; c < CHANNELS[colour]; c++) row.push(sample(x, y, c));
      const packed = pack(row, depth);
      rows.push(Buffer.from([filter]), filtered(packed, previous, filter, Math.max(1, (CHANNELS[colour] * depth) / 8)));
      previous = packed;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  const data = deflateSync(Buffer.concat(rows));
  const step = sort.dataBytes ?? data.length;
  const pieces = Array.from({ length: Math.ceil(data.length / step) }, (_, n) =>
    data.subarray(n * step, (n + 1) * step),
  );
  return Buffer.concat([
    PNG_SIGNATURE,
    chunk('IHDR', header),
    ...before,
    ...pieces.map((piece) => chunk('IDAT', piece)),
    ...after,
    chunk('IEND'),
  ]);
}

/** Packs a row: samples of fewer than 8 bits share bytes, highest bits first; 16 bits are big-endian. */
export function pack(row: readonly number[], depth: number): Buffer {
  if (depth === 8) return Buffer.from(row);
  if (depth === 16) return Buffer.from(row.flatMap((v) => [v >> 8, v & 255]));
  const packed = Buffer.alloc(Math.ceil((row.length * depth) / 8));
  row.forEach((v, n) => {
    const bit = n * depth;
    packed[bit >> 3] = (packed[bit >> 3] as number) | (v << (8 - depth - (bit & 7)));
  });
  return packed;
}

function filtered(row: Buffer, previous: Buffer, filter: number, pixelBytes: number): Buffer {
  if (filter === 0) return row;
  return row.map((v, n) => v - ((filter === 1 ? row[n - pixelBytes] : previous[n]) ?? 0)) as Buffer;
}
