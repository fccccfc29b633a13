import { encodeTiff, type TiffSort } from '../encode/tiff.js';
import { coarse, grey, onWhite, type Raster, turned } from '../raster.js';
import { alphaAt, EXACT, HEIGHT, LARGE, NEAR, RAMPS, type Right, sampleOf, WIDTH } from './common.js';

function tiff(name: string, sort: Partial<TiffSort> = {}, raster = RAMPS, tolerance = EXACT, seen = raster): Right {
  const whole: TiffSort = { width: raster.width, height: raster.height, bits: 8, channels: 3, photometric: 2, ...sort };
  const most = 2 ** whole.bits - 1;
  const colours = whole.photometric === 2 ? 3 : 1;
  const bytes = encodeTiff(whole, (x, y, c) => {
    if (c >= colours) return Math.round(alphaAt(x) * most);
    const v = sampleOf(raster, x, y, c, most);
    return whole.photometric === 0 ? most - v : v;
  });
  return { name: `TIFF ${name}`, bytes, kind: 'TIFF', raster: seen, tolerance };
}

export function tiffs(): Right[] {
  return [...greys(), ...colours(), ...palettes(), ...structures(), ...orientations()];
}

function greys(): Right[] {
  const of = grey(RAMPS);
  return [1, 2, 4, 8, 16].flatMap((bits) =>
    [0, 1].map((photometric) => {
      const seen = bits < 8 ? coarse(of, bits) : of;
      return tiff(
        `grey ${photometric} of ${bits} bits`,
        { bits, channels: 1, photometric },
        of,
        bits === 16 ? 1 : EXACT,
        seen,
      );
    }),
  );
}

function colours(): Right[] {
  const orders = [false, true].flatMap((bigEndian) => [false, true].map((big) => ({ bigEndian, big })));
  return [8, 16].flatMap((bits) =>
    orders.map((order) => {
      const name = `RGB of ${bits} bits${order.bigEndian ? ', big-endian' : ''}${order.big ? ', BigTIFF' : ''}`;
      return tiff(name, { bits, ...order }, RAMPS, bits === 16 ? 1 : EXACT);
    }),
  );
}

function palettes(): Right[] {
  const all: Right[] = [];
  for (const bits of [2, 4, 8]) {
    const colours = 2 ** bits;
    const at = (index: number) => Math.round((index * 255) / (colours - 1));
    const index = (x: number) => Math.floor((x * colours) / WIDTH);
    const map = [0, 1, 2].flatMap((c) =>
      Array.from({ length: colours }, (_, n) => (c === 0 ? at(n) : c === 1 ? 40 : 255 - at(n)) * 257),
    );
    const bytes = encodeTiff(
      { width: WIDTH, height: HEIGHT, bits, channels: 1, photometric: 3, tags: { 320: map } },
      index,
    );
    const raster: Raster = { ...RAMPS, colour: (x) => [at(index(x)), 40, 255 - at(index(x))] };
    all.push({ name: `TIFF palette of ${bits} bits`, bytes, kind: 'TIFF', raster, tolerance: EXACT });
  }
  return all;
}

function structures(): Right[] {
  const all: Right[] = [];
  all.push(
    tiff('Deflate', { compression: 8 }),
    tiff('a row a strip', { rowsPerStrip: 1, compression: 8 }),
    tiff('planes', { planar: true }),
    tiff('tiles', { tile: 16 }),
    tiff('tiles larger than the picture', { tile: 256, compression: 8 }),
    tiff('alpha', { channels: 4, tags: { 338: [2] } }, RAMPS, 1.6, onWhite(RAMPS, alphaAt)),
    tiff('alpha of 16 bits', { bits: 16, channels: 4, tags: { 338: [2] } }, RAMPS, 1.6, onWhite(RAMPS, alphaAt)),
    tiff(
      'grey with alpha',
      { channels: 2, photometric: 1, tags: { 338: [2] } },
      grey(RAMPS),
      1.6,
      onWhite(grey(RAMPS), alphaAt),
    ),
    tiff('20,000 pages', { pages: 20_000 }),
    tiff('directories in a circle', { next: 8 }),
    tiff('a next directory beyond the end', { next: 0x7fffffff }),
    tiff('large, resized', {}, LARGE, NEAR),
  );
  // The first pixels lie where file-type looks for the names of cameras: 'CR' of Canon's.
  const named: Raster = { ...RAMPS, colour: (x, y) => (x === 0 && y === 0 ? [0x43, 0x52, 0x02] : RAMPS.colour(x, y)) };
  all.push(tiff('first pixels that spell CR', {}, named));
  return all;
}

function orientations(): Right[] {
  return [1, 2, 3, 4, 5, 6, 7, 8].map((orientation) =>
    tiff(`orientation ${orientation}`, { tags: { 274: [orientation] } }, RAMPS, EXACT, turned(RAMPS, orientation)),
  );
}
