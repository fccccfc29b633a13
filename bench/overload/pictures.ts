/**
 * The pictures to send: taken from a folder (cifar), cropped to 224 x 224, or synthetic photographs of 12 megapixels.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import type { Picture } from '../load/job.js';
import { shuffled } from '../load/setup.js';
import { fail } from '../support.js';

export const KINDS = ['cifar', '224', '12mp'] as const;
export type PictureKind = (typeof KINDS)[number];

/** Number of different pictures: too many to stay in a CPU's cache, few enough for the memory of the client. */
const BODIES: Readonly<Record<PictureKind, number>> = { cifar: 500, '224': 300, '12mp': 12 };
const CUT_SIDE = 224;
/** Size of a synthetic photograph: 12 megapixels, as from a phone. */
const WIDTH = 4000;
const HEIGHT = 3000;
const QUALITY = 85;
/**
 * Range of the standard deviation of one octave of noise, in levels of 0 to 255; it is drawn for each picture. The
 * amplitudes of photographs fall as 1 / frequency, so each octave has the same energy. In this range files of this
 * quality take 2 to 5 MB, as photographs with little and with much detail do.
 */
const OCTAVE_SD = { least: 7, most: 18 };
/** Factor on the finest octave, which the lens and the filter before the sensor blur. */
const FINEST = 0.5;
const OCTAVES = 10;
/** Synthetic photographs are kept between runs, in a folder that git ignores. */
const FOLDER = fileURLToPath(new URL('../../.cache/overload', import.meta.url));

/**
 * The pictures of this kind. data: a folder with pictures, also in subfolders; not used for '12mp'. Ends the process if
 * it has none.
 */
export async function pictures(kind: PictureKind, data: string | undefined, seed: number): Promise<Picture[]> {
  const files =
    kind === '12mp'
      ? await photographs(BODIES[kind])
      : await found(kind, data ?? fail('give --data, a folder of pictures'), seed);
  return files.map((file) => ({ file, label: 0 })); // this bench does not check whether answers are right
}

async function found(kind: 'cifar' | '224', data: string, seed: number): Promise<string[]> {
  const all = readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(jpe?g|png|webp)$/i.test(name))
    .sort();
  if (all.length === 0) fail(`${data} has no pictures`);
  const chosen = shuffled(all, seeded(seedFor(seed, 'pictures'))).slice(0, BODIES[kind]);
  const files = chosen.map((name) => join(data, name));
  if (kind === 'cifar') return files;
  const folder = join(FOLDER, '224');
  mkdirSync(folder, { recursive: true });
  return Promise.all(
    files.map(async (file, n) => {
      const cut = join(folder, `${seed}-${n}.jpg`);
      const square = sharp(file).resize(CUT_SIDE, CUT_SIDE, { fit: 'cover' }).jpeg({ quality: QUALITY });
      writeFileSync(cut, await square.toBuffer());
      return cut;
    }),
  );
}

async function photographs(count: number): Promise<string[]> {
  const folder = join(FOLDER, '12mp');
  mkdirSync(folder, { recursive: true });
  const files: string[] = [];
  for (let n = 0; n < count; n++) {
    const file = join(folder, `${n}.jpg`);
    if (!existsSync(file)) {
      console.error(`making photograph ${n + 1} of ${count}`);
      writeFileSync(file, await photograph(WIDTH, HEIGHT, seeded(seedFor(n, 'photograph'))));
    }
    files.push(file);
  }
  return files;
}

/** A synthetic JPEG with the spectrum of a photograph: shapes with edges, and noise in octaves of equal energy. */
export async function photograph(width: number, height: number, random: Random): Promise<Buffer> {
  const base = await sharp(Buffer.from(shapes(width, height, random)))
    .removeAlpha()
    .raw()
    .toBuffer();
  const noise = await octaves(width, height, random);
  for (let pixel = 0; pixel < noise.length; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const place = 3 * pixel + channel;
      base[place] = Math.max(0, Math.min(255, Math.round((base[place] as number) + (noise[pixel] as number))));
    }
  }
  return sharp(base, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: QUALITY })
    .toBuffer();
}

/** Noise: the brightness to add to each pixel, [height * width]. */
async function octaves(width: number, height: number, random: Random): Promise<Float32Array> {
  const sum = new Float32Array(width * height);
  const sd = OCTAVE_SD.least + (OCTAVE_SD.most - OCTAVE_SD.least) * random();
  for (let octave = 0; octave < OCTAVES; octave++) {
    const [columns, rows] = [width, height].map((side) => Math.max(2, side >> octave)) as [number, number];
    const grain = Buffer.alloc(columns * rows);
    for (let n = 0; n < grain.length; n++) grain[n] = Math.floor(256 * random());
    const enlarged = await sharp(grain, { raw: { width: columns, height: rows, channels: 1 } })
      .resize(width, height, { fit: 'fill', kernel: 'cubic' })
      .extractChannel(0)
      .raw()
      .toBuffer();
    // Uniform in 0..255 has a standard deviation of 255 / sqrt(12).
    const weight = ((octave === 0 ? FINEST : 1) * sd * Math.sqrt(12)) / 255;
    for (let n = 0; n < sum.length; n++) sum[n] = (sum[n] as number) + weight * ((enlarged[n] as number) - 127.5);
  }
  return sum;
}

/** An SVG of overlapping polygons of all sizes: edges in every direction. */
function shapes(width: number, height: number, random: Random): string {
  const colour = () => `rgb(${[0, 0, 0].map(() => Math.floor(30 + 195 * random())).join(',')})`;
  const polygon = () => {
    const [x, y, radius] = [random() * width, random() * height, (0.02 + 0.3 * random() ** 3) * width];
    const corners = Array.from({ length: 3 + Math.floor(5 * random()) }, (_, n, all = 6) => {
      const angle = (2 * Math.PI * (n + 0.8 * random())) / all;
      return `${(x + radius * Math.cos(angle)).toFixed(1)},${(y + radius * Math.sin(angle)).toFixed(1)}`;
    });
    return `<polygon points="${corners.join(' ')}" fill="${colour()}" fill-opacity="${(0.4 + 0.6 * random()).toFixed(2)}"/>`;
  };
  const all = Array.from({ length: 150 }, polygon).join('');
  const ground = `<rect width="100%" height="100%" fill="${colour()}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${ground}${all}</svg>`;
}
