/** A GIF encoder for tests. It does not compress: the code table is cleared before codes would get longer. */

export interface GifFrame {
  readonly width: number;
  readonly height: number;
  readonly left?: number;
  readonly top?: number;
  readonly interlaced?: boolean;
  readonly transparent?: number;
  readonly disposal?: number;
  readonly table?: Buffer;
  index(x: number, y: number): number;
}

export interface GifSort {
  readonly width: number;
  readonly height: number;
  /** Global colour table: 256 colours of three bytes. */
  readonly table?: Buffer;
  readonly frames: readonly GifFrame[];
  /** Extension blocks before the first frame. */
  readonly before?: readonly Buffer[];
  readonly trailer?: boolean;
}

const u16 = (...values: number[]) => Buffer.from(values.flatMap((v) => [v & 255, v >> 8]));

/** The data in sub-blocks of at most 255 bytes, with the empty block at the end. */
export function subBlocks(data: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += 255) {
    const part = data.subarray(at, at + 255);
    parts.push(Buffer.from([part.length]), part);
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

export function encodeGif({ width, height, table, frames, before = [], trailer = true }: GifSort): Buffer {
  return Buffer.concat([
    Buffer.from('GIF89a'),
    u16(width, height),
    Buffer.from([table ? 0xf7 : 0x70, 0, 0]),
    table ?? Buffer.alloc(0),
    ...before,
    ...frames.map(encodeFrame),
    Buffer.from(trailer ? [0x3b] : []),
  ]);
}

export function encodeFrame(frame: GifFrame): Buffer {
  const { left = 0, top = 0, width, height, interlaced, transparent, disposal = 0, table } = frame;
  const control = Buffer.from([
    0x21,
    0xf9,
    4,
    (disposal << 2) | (transparent === undefined ? 0 : 1),
    10,
    0,
    transparent ?? 0,
    0,
  ]);
  const packed = (table ? 0x87 : 0) | (interlaced ? 0x40 : 0);
  return Buffer.concat([
    control,
    Buffer.from([0x2c]),
    u16(left, top, width, height),
    Buffer.from([packed]),
    table ?? Buffer.alloc(0),
    Buffer.from([8]),
    subBlocks(lzw(frame)),
  ]);
}

/** LZW data with codes of 9 bits: the table is cleared before it has 512 entries. */
function lzw({ width, height, interlaced, index }: GifFrame): Buffer {
  const passes = interlaced
    ? ([
        [0, 8],
        [4, 8],
        [2, 4],
        [1, 2],
      ] as const)
    : ([[0, 1]] as const);
  const codes: number[] = [256];
  let since = 0;
  for (const [first, step] of passes)
    for (let y = first; y < height; y += step)
      for (let x = 0; x < width; x++) {
        if (since === 250) {
          codes.push(256);
          since = 0;
        }
        codes.push(index(x, y));
        since++;
      }
  codes.push(257);
  const bytes = Buffer.alloc(Math.ceil((codes.length * 9) / 8));
  codes.forEach((code, n) => {
    for (let bit = 0; bit < 9; bit++) {
      const at = n * 9 + bit;
      if ((code >> bit) & 1) bytes[at >> 3] = (bytes[at >> 3] as number) | (1 << (at & 7));
    }
  });
  return bytes;
}
