/** A TIFF encoder for tests. */
import { deflateSync } from 'node:zlib';
import { pack } from './png.js';

export interface TiffSort {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly channels: number;
  readonly photometric: number;
  readonly big?: boolean;
  readonly bigEndian?: boolean;
  /** Compression tag: 1 none, 8 Deflate; other values are written, but the data are not compressed. */
  readonly compression?: number;
  readonly rowsPerStrip?: number;
  readonly tile?: number;
  readonly planar?: boolean;
  /** Further tags, of type SHORT. */
  readonly tags?: Readonly<Record<number, readonly number[]>>;
  /** Number of directories (pages); those after the first are copies. */
  readonly pages?: number;
  /** Offset that the last directory gives for the next one. */
  readonly next?: number;
}

const SHORT = 3;
const LONG = 4;
const UNDEFINED = 7;
const DEFLATE = 8;
const ICC = 34675;

type Sample = (x: number, y: number, channel: number) => number;

/** Encodes a TIFF. sample: samples of one pixel, each 0 to 2 ** bits - 1. */
export function encodeTiff(sort: TiffSort, sample: Sample, icc?: Buffer): Buffer {
  const { big = false, pages = 1 } = sort;
  const file = new File(sort.bigEndian ?? false);
  const size = big ? 8 : 4;
  const header = file.append(Buffer.alloc(big ? 16 : 8));
  const blocks = blocksOf(sort, sample);
  const places = blocks.map((block) => file.append(block));
  const entries = tagsOf(sort, places, blocks).map(([tag, type, values]) => {
    const data: Buffer = Buffer.concat(values.map((v) => file.number(v, type === SHORT ? 2 : 4)));
    return { tag, type, count: values.length, data };
  });
  if (icc) entries.push({ tag: ICC, type: UNDEFINED, count: icc.length, data: icc });
  entries.sort((a, b) => a.tag - b.tag);
  const placed = entries.map((entry) => {
    const value = entry.data.length <= size ? entry.data : file.number(file.append(entry.data), size);
    const { tag, type, count } = entry;
    const padding = Buffer.alloc(size - value.length);
    return Buffer.concat([file.number(tag, 2), file.number(type, 2), file.number(count, size), value, padding]);
  });
  const body = Buffer.concat([file.number(placed.length, big ? 8 : 2), ...placed]);
  const first = file.end;
  const step = Math.ceil((body.length + size) / ALIGNMENT) * ALIGNMENT;
  for (let page = 0; page < pages; page++) {
    const next = page + 1 < pages ? first + (page + 1) * step : (sort.next ?? 0);
    file.append(Buffer.concat([body, file.number(next, size)]));
  }
  const bytes = file.bytes();
  bytes.write(sort.bigEndian ? 'MM' : 'II', header, 'latin1');
  file.number(big ? 43 : 42, 2).copy(bytes, 2);
  if (big) file.number(8, 2).copy(bytes, 4);
  file.number(first, size).copy(bytes, big ? 8 : 4);
  return bytes;
}

const ALIGNMENT = 8;

/** A file that is built part by part; each part starts at a multiple of 8. */
class File {
  readonly #bigEndian: boolean;
  readonly #parts: Buffer[] = [];
  /** Offset of the next part. */
  end = 0;

  constructor(bigEndian: boolean) {
    this.#bigEndian = bigEndian;
  }

  append(part: Buffer): number {
    const place = this.end;
    const length = Math.ceil(part.length / ALIGNMENT) * ALIGNMENT;
    this.#parts.push(part, Buffer.alloc(length - part.length));
    this.end += length;
    return place;
  }

  number(value: number, size: number): Buffer {
    const bytes = Buffer.alloc(size);
    const low = Math.min(size, 6); // no number of these files needs more
    if (this.#bigEndian) bytes.writeUIntBE(value, size - low, low);
    else bytes.writeUIntLE(value, 0, low);
    return bytes;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** The data of all strips or tiles. */
function blocksOf(sort: TiffSort, sample: Sample): Buffer[] {
  const { width, height, channels, tile } = sort;
  const all = Array.from({ length: channels }, (_, c) => c);
  const [across, down] = [tile ?? width, tile ?? sort.rowsPerStrip ?? height];
  const blocks: Buffer[] = [];
  for (const planes of sort.planar ? all.map((c) => [c]) : [all])
    for (let y = 0; y < height; y += down)
      for (let x = 0; x < width; x += across) {
        const rows = tile ?? Math.min(down, height - y);
        const lines = Array.from({ length: rows }, (_, n) => rowOf(sort, sample, x, across, y + n, planes));
        const block = Buffer.concat(lines);
        blocks.push(sort.compression === DEFLATE ? deflateSync(block) : block);
      }
  return blocks;
}

function rowOf(
  sort: TiffSort,
  sample: Sample,
  x0: number,
  count: number,
  y: number,
  planes: readonly number[],
): Buffer {
  const within = (x: number) => x < sort.width && y < sort.height;
  const columns = Array.from({ length: count }, (_, n) => x0 + n);
  const values = columns.flatMap((x) => planes.map((c) => (within(x) ? sample(x, y, c) : 0)));
  const packed = pack(values, sort.bits);
  return sort.bits === 16 && !sort.bigEndian ? packed.swap16() : packed;
}

type Tag = readonly [tag: number, type: number, values: readonly number[]];

function tagsOf(sort: TiffSort, places: readonly number[], blocks: readonly Buffer[]): Tag[] {
  const { width, height, channels, bits, tile } = sort;
  const lengths = blocks.map((block) => block.length);
  return [
    [256, LONG, [width]],
    [257, LONG, [height]],
    [258, SHORT, Array.from({ length: channels }, () => bits)],
    [259, SHORT, [sort.compression ?? 1]],
    [262, SHORT, [sort.photometric]],
    [277, SHORT, [channels]],
    [284, SHORT, [sort.planar ? 2 : 1]],
    [tile ? 324 : 273, LONG, places],
    [tile ? 325 : 279, LONG, lengths],
    ...(tile
      ? ([
          [322, LONG, [tile]],
          [323, LONG, [tile]],
        ] as const)
      : ([[278, LONG, [sort.rowsPerStrip ?? height]]] as const)),
    ...Object.entries(sort.tags ?? {}).map(([tag, values]) => [Number(tag), SHORT, values] as const),
  ];
}
