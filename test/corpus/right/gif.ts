import { encodeFrame, encodeGif, type GifFrame, subBlocks } from '../encode/gif.js';
import type { Raster } from '../raster.js';
import { EXACT, HEIGHT, RAMPS, type Right, WIDTH } from './common.js';

/** Levels of red, green and blue in the palette to which rasters are rounded: 252 colours. */
const [REDS, GREENS, BLUES] = [6, 7, 6];
const level = (index: number, levels: number) => Math.round((index * 255) / (levels - 1));
const TABLE = Buffer.alloc(768);
for (let n = 0; n < REDS * GREENS * BLUES; n++)
  TABLE.set(
    [
      level(Math.floor(n / (GREENS * BLUES)), REDS),
      level(Math.floor(n / BLUES) % GREENS, GREENS),
      level(n % BLUES, BLUES),
    ],
    n * 3,
  );
const INVERSE = TABLE.map((v) => 255 - v) as Buffer;

export function gifs(): Right[] {
  const nearest = (x: number, y: number) => {
    const [r, g, b] = RAMPS.colour(x, y).map((v, c) =>
      Math.round((v * ([REDS, GREENS, BLUES][c] as number) - v) / 255),
    ) as [number, number, number];
    return (r * GREENS + g) * BLUES + b;
  };
  const colourOf = (index: number) => [...TABLE.subarray(index * 3, index * 3 + 3)] as [number, number, number];
  const seen: Raster = { ...RAMPS, colour: (x, y) => colourOf(nearest(x, y)) };
  const frame: GifFrame = { width: WIDTH, height: HEIGHT, index: nearest };
  const size = { width: WIDTH, height: HEIGHT };
  const all: Right[] = [];
  const add = (name: string, bytes: Buffer, raster = seen) =>
    all.push({ name: `GIF ${name}`, bytes, kind: 'GIF', raster, tolerance: EXACT });
  add('still', encodeGif({ ...size, table: TABLE, frames: [frame] }));
  add('with a colour table of its own', encodeGif({ ...size, table: INVERSE, frames: [{ ...frame, table: TABLE }] }));
  add('interlaced', encodeGif({ ...size, table: TABLE, frames: [{ ...frame, interlaced: true }] }));
  const clear = nearest(0, 0);
  add('transparent', encodeGif({ ...size, table: TABLE, frames: [{ ...frame, transparent: clear }] }), {
    ...seen,
    colour: (x, y) => (nearest(x, y) === clear ? [255, 255, 255] : seen.colour(x, y)),
  });
  for (const disposal of [0, 1, 2, 3])
    add(
      `animation of disposal ${disposal}`,
      encodeGif({
        ...size,
        table: TABLE,
        frames: [
          { ...frame, disposal },
          { ...frame, table: INVERSE, disposal },
        ],
      }),
    );
  const inner = {
    ...frame,
    width: 20,
    height: 16,
    left: 14,
    top: 8,
    index: (x: number, y: number) => nearest(x + 14, y + 8),
  };
  // libnsgif's canvas begins black; where a colour is transparent, it begins clear. Viewers differ.
  add('a first frame in the middle', encodeGif({ ...size, table: TABLE, frames: [inner, frame] }), {
    ...seen,
    colour: (x, y) => (x >= 14 && x < 34 && y >= 8 && y < 24 ? seen.colour(x, y) : [0, 0, 0]),
  });
  add(
    'with a later frame beyond the canvas',
    encodeGif({ ...size, table: TABLE, frames: [frame, { ...frame, left: 1000, top: 1000 }] }),
  );
  const good = encodeGif({ ...size, table: TABLE, frames: [frame], trailer: false });
  add('whose second frame is broken', Buffer.concat([good, encodeFrame(frame).fill(0xff, 20), Buffer.from([0x3b])]));
  add('whose second frame is cut off', Buffer.concat([good, encodeFrame(frame).subarray(0, 100)]));
  add(
    '50,000 frames',
    Buffer.concat([
      good,
      ...Array.from({ length: 50_000 }, () => Buffer.from('2c0000000001000100000202440100', 'hex')),
    ]),
  );
  add('without a trailer', good);
  add('JavaScript at its end', Buffer.concat([good, Buffer.from(';alert(1)/*')]));
  const extension = (label: number, data: Buffer) => Buffer.concat([Buffer.from([0x21, label]), subBlocks(data)]);
  add(
    'comments and loops before it',
    encodeGif({
      ...size,
      table: TABLE,
      frames: [frame],
      before: [
        extension(0xfe, Buffer.alloc(3000, 65)),
        extension(0xff, Buffer.from('NETSCAPE2.0')),
        extension(0x77, Buffer.from('unknown')),
      ],
    }),
  );
  return all;
}
