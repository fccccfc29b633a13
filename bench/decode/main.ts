/**
 * Time to decode JPEGs of 12 and 48 megapixels to the input of a family's network.
 *
 * npm run bench:decode -- --photos data/photos/one-per-class --out bench/results/decode.json
 *
 * The pictures are mosaics of photographs at about their own resolution, because an enlarged photograph has no fine
 * detail and decodes faster. They are decoded one at a time, by the code of the service. Exit status 1 if the median of
 * the 12 megapixels is not below LIMIT_MS, or if one of the files exceeds the default MAX_IMAGE_BYTES.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { readConfig } from '../../src/config.js';
import { manifestSchema } from '../../src/family/manifest.js';
import { quantile } from '../../src/latency/quantile.js';
import { circumstances, fail, progress, writeResult } from '../support.js';

const { values: options } = parseArgs({
  options: {
    photos: { type: 'string' },
    family: { type: 'string', default: 'models/imagenet1k' },
    repeats: { type: 'string', default: '50' },
    out: { type: 'string' },
  },
});
const folder = options.photos ?? fail('give --photos, a folder of photographs (in sub-folders or not)');
const repeats = z.coerce.number().int().positive().parse(options.repeats);

/** Largest allowed median for 12 megapixels. */
const LIMIT_MS = 60;
const RULE = manifestSchema.parse(JSON.parse(readFileSync(join(options.family, 'manifest.json'), 'utf8'))).input.resize;
const QUALITY = 90;
const TILE = { width: 500, height: 375 };
/** Tiles in a row and in a column of each mosaic: 8 give 4000 x 3000 pixels, 16 give 8000 x 6000. */
const SIDES = [8, 16];
/** The default limits of the service. */
const { MAX_IMAGE_PIXELS, MAX_IMAGE_BYTES } = readConfig({});

const { default: sharp } = await import('sharp');
const photos = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();
if (photos.length === 0) fail(`${folder} holds no photographs`);

/** JPEG of side x side tiles; photographs repeat if there are fewer. */
async function mosaic(side: number): Promise<Buffer> {
  const tiles = Array.from({ length: side * side }, async (_, n) => ({
    input: await sharp(photos[n % photos.length])
      .resize({ ...TILE, fit: 'cover' })
      .toBuffer(),
    left: (n % side) * TILE.width,
    top: Math.floor(n / side) * TILE.height,
  }));
  const canvas = { width: side * TILE.width, height: side * TILE.height, channels: 3, background: '#fff' } as const;
  return sharp({ create: canvas })
    .composite(await Promise.all(tiles))
    .jpeg({ quality: QUALITY })
    .toBuffer();
}

// Made before decode.ts is loaded, because decode.ts forbids sharp to read files.
const pictures = await Promise.all(SIDES.map(async (side) => ({ side, bytes: await mosaic(side) })));
const { decode, inspect } = await import('../../src/image/decode.js');
const limits = { maxPixels: MAX_IMAGE_PIXELS };
const read = async (bytes: Uint8Array) => decode(bytes, await inspect(bytes, RULE, limits), RULE, limits);

const bar = progress('decode', pictures.length * repeats);
const rows = [];
for (const { side, bytes } of pictures) {
  const times: number[] = [];
  await read(bytes); // the first decode is slower and does not count
  for (let n = 0; n < repeats; n++) {
    const startMs = performance.now();
    await read(bytes);
    times.push(performance.now() - startMs);
    bar.step();
  }
  times.sort((a, b) => a - b);
  const ms = (q: number) => Number(quantile(times, q)?.toFixed(2));
  const [width, height] = [side * TILE.width, side * TILE.height];
  rows.push({ width, height, bytes: bytes.length, n: repeats, medianMs: ms(0.5), leastMs: ms(0), p90Ms: ms(0.9) });
}
bar.stop();
console.table(rows);
writeResult(options.out, {
  bench: 'decode',
  ...circumstances(),
  rule: RULE,
  quality: QUALITY,
  limitMs: LIMIT_MS,
  rows,
});
const quick = (rows[0]?.medianMs ?? Number.POSITIVE_INFINITY) < LIMIT_MS;
process.exitCode = quick && rows.every((r) => r.bytes <= MAX_IMAGE_BYTES) ? 0 : 1;
