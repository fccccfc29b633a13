import { deflateSync } from 'node:zlib';
import { chunk, encodePng, type PngSort } from '../encode/png.js';
import { coarse, grey, onWhite, type Raster, turned } from '../raster.js';
import { alphaAt, EXACT, exif, HEIGHT, LARGE, NEAR, RAMPS, type Right, sampleOf, WIDTH } from './common.js';

function png(name: string, sort: Partial<PngSort> = {}, raster = RAMPS, tolerance = EXACT, seen = raster): Right {
  const whole: PngSort = { width: raster.width, height: raster.height, depth: 8, colour: 2, ...sort };
  const most = 2 ** whole.depth - 1;
  const colours = whole.colour === 0 || whole.colour === 4 ? 1 : 3;
  const bytes = encodePng(whole, (x, y, c) =>
    c < colours ? sampleOf(raster, x, y, c, most) : Math.round(alphaAt(x) * most),
  );
  return { name: `PNG ${name}`, bytes, kind: 'PNG', raster: seen, tolerance };
}

/** A PNG with a palette, whose colours depend only on x. */
function palettePng(depth: 1 | 2 | 4 | 8, before: Buffer[] = [], seen?: Raster): Right {
  const colours = 2 ** depth;
  const colourOf = (x: number): [number, number, number] => {
    const index = Math.floor((x * colours) / WIDTH);
    return [Math.round((index * 255) / (colours - 1)), 40, 255 - Math.round((index * 255) / (colours - 1))];
  };
  const raster: Raster = { width: WIDTH, height: HEIGHT, colour: (x) => colourOf(x) };
  const table = Buffer.from(
    Array.from({ length: colours }, (_, index) => [
      Math.round((index * 255) / (colours - 1)),
      40,
      255 - Math.round((index * 255) / (colours - 1)),
    ]).flat(),
  );
  const bytes = encodePng(
    { width: WIDTH, height: HEIGHT, depth, colour: 3, before: [chunk('PLTE', table), ...before] },
    (x) => Math.floor((x * colours) / WIDTH),
  );
  return {
    name: `PNG palette of ${depth} bits${seen ? ', transparent' : ''}`,
    bytes,
    kind: 'PNG',
    raster: seen ?? raster,
    tolerance: EXACT,
  };
}

const TEXT_BOMB = deflateSync(Buffer.alloc(7_900_000, 'A'), { level: 9 });
const bomb = (type: 'zTXt' | 'iTXt') =>
  chunk(type, Buffer.concat([Buffer.from(type === 'zTXt' ? 'k\0\0' : 'k\0\x01\0\0\0', 'latin1'), TEXT_BOMB]));

export function pngs(): Right[] {
  return [...opaque(), ...transparent(), ...palettes(), ...chunks(), ...trailing()];
}

/** Opaque PNGs of each bit depth, interlaced and not. */
function opaque(): Right[] {
  const sorts = [false, true].flatMap((interlaced) => [
    ...([1, 2, 4, 8, 16] as const).map((depth) => ({ colour: 0 as const, depth, interlaced })),
    ...([8, 16] as const).map((depth) => ({ colour: 2 as const, depth, interlaced })),
  ]);
  return sorts.map((sort) => {
    const of = sort.colour === 0 ? grey(RAMPS) : RAMPS;
    const seen = sort.depth < 8 ? coarse(of, sort.depth) : of;
    const name = `colour ${sort.colour} of ${sort.depth} bits${sort.interlaced ? ', interlaced' : ''}`;
    return png(name, sort, of, sort.depth === 16 ? 1 : EXACT, seen);
  });
}

function transparent(): Right[] {
  return ([8, 16] as const).flatMap((depth) =>
    ([4, 6] as const).map((colour) => {
      const of = colour === 4 ? grey(RAMPS) : RAMPS;
      return png(`colour ${colour} of ${depth} bits, on white`, { colour, depth }, of, 1.6, onWhite(of, alphaAt));
    }),
  );
}

function palettes(): Right[] {
  const white: Raster = { ...RAMPS, colour: (x) => (x < 24 ? [255, 255, 255] : [255, 40, 0]) };
  return [
    ...([1, 2, 4, 8] as const).map((depth) => palettePng(depth)),
    palettePng(1, [chunk('tRNS', Buffer.from([0, 255]))], white),
  ];
}

function chunks(): Right[] {
  const all: Right[] = [];
  for (const filter of [1, 2] as const) all.push(png(`filter ${filter}`, { filter }));
  all.push(
    png('large, resized', {}, LARGE, NEAR),
    png('large of 16 bits, resized', { depth: 16 }, LARGE, NEAR),
    png('data one byte a chunk', { dataBytes: 1 }),
    png('chunks after the data', { after: [chunk('tEXt', Buffer.from('k\0v')), chunk('tIME', Buffer.alloc(7, 1))] }),
    png('unknown optional chunks', { before: Array.from({ length: 5000 }, () => chunk('abCd', Buffer.from('x'))) }),
    png('empty data chunks', { before: Array.from({ length: 1000 }, () => chunk('IDAT')) }),
    png('zTXt bombs', { before: Array.from({ length: 300 }, () => bomb('zTXt')) }),
    png('iTXt bombs', { before: Array.from({ length: 300 }, () => bomb('iTXt')) }),
    png('a profile that is none', {
      before: [chunk('iCCP', Buffer.concat([Buffer.from('k\0\0', 'latin1'), deflateSync(Buffer.from('no profile'))]))],
    }),
    png('a profile bomb', { before: [chunk('iCCP', Buffer.concat([Buffer.from('k\0\0', 'latin1'), TEXT_BOMB]))] }),
    png('animation whose later frames are broken', {
      before: [chunk('acTL', Buffer.from([0, 0, 0, 2, 0, 0, 0, 0]))],
      after: [chunk('fcTL', Buffer.alloc(26, 255)), chunk('fdAT', Buffer.from('broken'))],
    }),
    png(
      'Exif that goes on for 3 MB',
      { before: [chunk('eXIf', Buffer.concat([exif(3), Buffer.alloc(3_000_000)]))] },
      RAMPS,
      EXACT,
      turned(RAMPS, 3),
    ),
    png(
      'two Exif, of which the first counts',
      { before: [chunk('eXIf', exif(6)), chunk('eXIf', exif(3))] },
      RAMPS,
      EXACT,
      turned(RAMPS, 6),
    ),
    png('Exif that points to itself', {
      before: [
        chunk(
          'eXIf',
          Buffer.from('4949 2a00 0800 0000 0100 6987 0400 0100 0000 0800 0000 0800 0000'.replaceAll(' ', ''), 'hex'),
        ),
      ],
    }),
  );
  return all;
}

function trailing(): Right[] {
  const all: Right[] = [];
  const plain = png('plain').bytes;
  all.push(
    {
      name: 'PNG with garbage at its end',
      bytes: Buffer.concat([plain, Buffer.alloc(5000, 7)]),
      kind: 'PNG',
      raster: RAMPS,
      tolerance: EXACT,
    },
    {
      name: 'PNG with a ZIP at its end',
      bytes: Buffer.concat([plain, Buffer.from('PK\x03\x04'), Buffer.alloc(200)]),
      kind: 'PNG',
      raster: RAMPS,
      tolerance: EXACT,
    },
    {
      name: 'PNG with another PNG at its end',
      bytes: Buffer.concat([plain, png('other', {}, grey(RAMPS)).bytes]),
      kind: 'PNG',
      raster: RAMPS,
      tolerance: EXACT,
    },
  );
  return all;
}
