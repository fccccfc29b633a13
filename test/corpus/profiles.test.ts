/** Conversion by colour profiles, for 8 and 16 bits, compared with conversions computed here. */
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import t from 'tap';
import { outcomeOf, RULE } from './corpus.js';
import { chunk, encodePng } from './encode/png.js';
import { encodeTiff } from './encode/tiff.js';
import { grey, type Raster, type Rgb, ramps, worstDifference } from './raster.js';

/** A raster of colours well inside sRGB, because conversions clip colours outside of it. */
const GENTLE: Raster = {
  ...ramps(48, 32),
  colour: (x, y) =>
    ramps(48, 32)
      .colour(x, y)
      .map((v) => 90 + v / 4) as unknown as Rgb,
};

/** An ICC profile that libvips has built in, by its name. */
async function profile(name: string): Promise<Buffer> {
  const { icc } = await sharp(
    await sharp({ create: { width: 1, height: 1, channels: 3, background: '#888' } })
      .withIccProfile(name)
      .png()
      .toBuffer(),
  ).metadata();
  if (!icc) throw new Error(`no profile ${name}`);
  return icc;
}
const iccp = (icc: Buffer) => chunk('iCCP', Buffer.concat([Buffer.from('k\0\0', 'latin1'), deflateSync(icc)]));

const linear = (v: number) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
const encoded = (l: number) => 255 * (l <= 0.0031308 ? 12.92 * l : 1.055 * l ** (1 / 2.4) - 0.055);
/** Linear Display P3 to linear sRGB (CSS Color 4, 18). */
const MATRIX = [
  [1.2249401763, -0.2249401763, 0],
  [-0.0420569547, 1.0420569547, 0],
  [-0.0196375546, -0.0786360455, 1.0982736],
] as const;
const fromP3 = (raster: Raster): Raster => ({
  ...raster,
  colour: (x, y) => {
    const p3 = raster.colour(x, y).map(linear);
    return MATRIX.map((row) =>
      encoded(row.reduce<number>((sum, m, n) => sum + m * (p3[n] as number), 0)),
    ) as unknown as Rgb;
  },
});

const PROFILES: Record<string, (raster: Raster) => Raster> = { none: (r) => r, srgb: (r) => r, p3: fromP3 };

for (const [name, seen] of Object.entries(PROFILES))
  for (const depth of [8, 16] as const)
    for (const kind of ['PNG', 'TIFF', 'PNG with alpha']) {
      t.test(`${kind} of ${depth} bits, profile ${name}`, async (t) => {
        const icc = name === 'none' ? undefined : await profile(name);
        const most = 2 ** depth - 1;
        const { width, height } = GENTLE;
        const sample = (x: number, y: number, c: number) =>
          c === 3 ? most : Math.round(((GENTLE.colour(x, y)[c] as number) * most) / 255);
        const sort = { width, height, depth, colour: kind === 'PNG' ? 2 : 6 } as const;
        const bytes =
          kind === 'TIFF'
            ? encodeTiff({ width, height, bits: depth, channels: 3, photometric: 2 }, sample, icc)
            : encodePng({ ...sort, before: icc ? [iccp(icc)] : [] }, sample);
        const outcome = await outcomeOf(bytes);
        if ('error' in outcome) throw outcome.error;
        const worst = worstDifference(outcome.pixels, seen(GENTLE), RULE);
        t.ok(worst < 2.5, `${worst.toFixed(2)} levels off at most`);
      });
    }

/** An ICC profile of version 2 for grey with the curve x ** gamma (ICC.1:2001-04). */
function greyProfile(gamma: number): Buffer {
  const text = Buffer.concat([Buffer.from('desc\0\0\0\0\0\0\0\x05grey\0', 'latin1'), Buffer.alloc(78)]);
  const white = Buffer.alloc(20);
  white.write('XYZ ');
  for (const [n, v] of [0xf6d6, 0x10000, 0xd32d].entries()) white.writeUInt32BE(v, 8 + 4 * n);
  const curve = Buffer.alloc(16);
  curve.write('curv');
  curve.writeUInt32BE(1, 8);
  curve.writeUInt16BE(Math.round(gamma * 256), 12);
  const tags: [string, Buffer][] = [
    ['desc', text],
    ['cprt', Buffer.from('text\0\0\0\0none\0\0\0\0', 'latin1')],
    ['wtpt', white],
    ['kTRC', curve],
  ];
  const table = Buffer.alloc(4 + 12 * tags.length);
  table.writeUInt32BE(tags.length);
  let at = 128 + table.length;
  tags.forEach(([name, data], n) => {
    table.write(name, 4 + 12 * n, 'latin1');
    table.writeUInt32BE(at, 8 + 12 * n);
    table.writeUInt32BE(data.length, 12 + 12 * n);
    at += Math.ceil(data.length / 4) * 4;
  });
  const header = Buffer.alloc(128);
  header.writeUInt32BE(at, 0);
  header.writeUInt32BE(0x02400000, 8);
  header.write('mntrGRAYXYZ ', 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  for (const [n, v] of [0xf6d6, 0x10000, 0xd32d].entries()) header.writeUInt32BE(v, 68 + 4 * n);
  const padded = tags.map(([, data]) => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]));
  return Buffer.concat([header, table, ...padded]);
}

for (const depth of [8, 16] as const) {
  t.test(`grey of ${depth} bits by its profile`, async (t) => {
    const of = grey(GENTLE);
    const most = 2 ** depth - 1;
    const bytes = encodePng(
      { width: of.width, height: of.height, depth, colour: 0, before: [iccp(greyProfile(1))] },
      (x, y) => Math.round((of.colour(x, y)[0] * most) / 255),
    );
    const outcome = await outcomeOf(bytes);
    if ('error' in outcome) throw outcome.error;
    const seen: Raster = { ...of, colour: (x, y) => of.colour(x, y).map((v) => encoded(v / 255)) as unknown as Rgb };
    const worst = worstDifference(outcome.pixels, seen, RULE);
    t.ok(worst < 3, `${worst.toFixed(2)} levels off at most`);
  });
}

t.test('CMYK is turned to RGB, with white, black and colours where they belong', async (t) => {
  const inks: [name: string, cmyk: number[], isRight: (r: number, g: number, b: number) => boolean][] = [
    ['no ink is white', [0, 0, 0, 0], (r, g, b) => Math.min(r, g, b) > 245],
    ['all ink is black', [255, 255, 255, 255], (r, g, b) => Math.max(r, g, b) < 40],
    ['cyan', [255, 0, 0, 0], (r, g, b) => r < 100 && g > 120 && b > 180],
    ['magenta', [0, 255, 0, 0], (r, g, b) => r > 180 && g < 80 && b > 80],
    ['yellow', [0, 0, 255, 0], (r, g, b) => r > 220 && g > 200 && b < 80],
  ];
  for (const bits of [8, 16])
    for (const [name, cmyk, isRight] of inks) {
      const bytes = encodeTiff(
        { width: 32, height: 32, bits, channels: 4, photometric: 5 },
        (_x, _y, c) => (cmyk[c] as number) * (bits === 16 ? 257 : 1),
      );
      const outcome = await outcomeOf(bytes);
      if ('error' in outcome) throw outcome.error;
      const [r = 0, g = 0, b = 0] = outcome.pixels;
      t.ok(isRight(r, g, b), `${name}, ${bits} bits: ${r}, ${g}, ${b}`);
    }
});
