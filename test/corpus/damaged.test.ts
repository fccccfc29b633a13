/** Truncated or changed pictures are decoded rightly or refused, in bounded time. */
import sharp from 'sharp';
import t from 'tap';
import { type Outcome, outcomeOf, RULE } from './corpus.js';
import { encodeTiff } from './encode/tiff.js';
import { bytesOf, type Raster, ramps } from './raster.js';
import { avifs } from './right/avif.js';
import { gifs } from './right/gif.js';
import { pngs } from './right/png.js';

/** A raster of noise, so that every byte of a file matters. */
const NOISE: Raster = {
  ...ramps(96, 64),
  colour: (x, y) => [(37 * x + 91 * y) % 251, (53 * x * y + 11) % 251, (17 * x + 5 * y * y) % 251],
};
const raw = () => sharp(bytesOf(NOISE), { raw: { width: 96, height: 64, channels: 3 } });

async function wholeFiles(): Promise<Record<string, Buffer>> {
  const gif = gifs().find(({ name }) => name === 'GIF still')?.bytes;
  const avif = avifs().find(({ name }) => name === 'AVIF 444 of 8 bits')?.bytes;
  const grid = avifs().find(({ name }) => name === 'AVIF grid')?.bytes;
  const interlaced = pngs().find(({ name }) => name === 'PNG colour 2 of 8 bits, interlaced')?.bytes;
  if (!gif || !avif || !grid || !interlaced) throw new Error('the corpus has no such picture any more');
  return {
    JPEG: await raw().jpeg().toBuffer(),
    'progressive JPEG': await raw().jpeg({ progressive: true }).toBuffer(),
    PNG: await raw().png().toBuffer(),
    'interlaced PNG': interlaced,
    'lossy WebP': await raw().webp().toBuffer(),
    'lossless WebP': await raw().webp({ lossless: true }).toBuffer(),
    AVIF: avif,
    'AVIF grid': grid,
    GIF: gif,
    TIFF: encodeTiff(
      { width: 96, height: 64, bits: 8, channels: 3, photometric: 2, compression: 8, rowsPerStrip: 8 },
      (x, y, c) => NOISE.colour(x, y)[c] as number,
    ),
  };
}

/** Lengths to which a file is truncated: its first bytes, then with growing steps, then its last bytes. */
const cutsOf = (length: number) =>
  [
    ...new Set([
      1,
      2,
      3,
      4,
      8,
      12,
      16,
      24,
      32,
      64,
      ...Array.from({ length: 12 }, (_, n) => Math.floor(((n + 1) * length) / 13)),
      length - 20,
      length - 13,
    ]),
  ].filter((at) => at > 0 && at < length);

const samePixels = (a: Outcome, b: Outcome) =>
  'pixels' in a && 'pixels' in b && Buffer.compare(a.pixels, b.pixels) === 0;

t.test('a truncated picture is refused, unless its first picture is complete', async (t) => {
  for (const [name, bytes] of Object.entries(await wholeFiles())) {
    const whole = await outcomeOf(bytes);
    t.ok('pixels' in whole, `${name}: whole, it is decoded`);
    for (const at of cutsOf(bytes.length)) {
      const outcome = await outcomeOf(bytes.subarray(0, at));
      if ('error' in outcome)
        t.match(
          outcome.error.code,
          at < 16 ? /invalid-image|unsupported-media/ : /invalid-image/,
          `${name} cut at ${at}`,
        );
      else t.ok(samePixels(outcome, whole), `${name} cut at ${at}: all its pixels are there`);
      if (at < 0.9 * bytes.length) t.ok('error' in outcome, `${name} cut at ${at} of ${bytes.length} is refused`);
    }
  }
});

/** A fixed sequence of pseudo-random numbers for each seed. */
function* draws(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

/** The file with one bit, one byte or a run of bytes changed; half of the changes are in the headers. */
function changed(bytes: Buffer, n: number, next: () => number): Buffer {
  const copy = Buffer.from(bytes);
  const at = next() % (n % 2 ? bytes.length : Math.min(bytes.length, 200));
  const length = [1, 1, 4, 16][n % 4] as number;
  for (let i = at; i < Math.min(bytes.length, at + length); i++)
    copy[i] = n % 4 === 0 ? (copy[i] as number) ^ (1 << (next() % 8)) : next() >>> 24;
  return copy;
}

t.test('a changed file gives pixels of the input size, or an error for the client', async (t) => {
  for (const [name, bytes] of Object.entries(await wholeFiles())) {
    const draw = draws(bytes.length);
    let refused = 0;
    for (let n = 0; n < 40; n++) {
      const outcome = await outcomeOf(changed(bytes, n, () => draw.next().value as number));
      const code = 'error' in outcome ? outcome.error.code : undefined;
      if (code) refused++;
      if (code) t.match(code, /^(invalid-image|unsupported-media|image-too-large)$/, `${name}, change ${n}`);
      else t.equal('pixels' in outcome && outcome.pixels.length, RULE.crop ** 2 * 3, `${name}, change ${n}`);
    }
    t.ok(refused > 0, `${name}: ${refused} of 40 were refused`);
  }
});

t.test('a changed bit in the pixels of a PNG is seen by its checksum', async (t) => {
  const bytes = await raw().png().toBuffer();
  const at = bytes.indexOf('IDAT') + 100;
  const other = Buffer.from(bytes);
  other[at] = (other[at] as number) ^ 1;
  const outcome = await outcomeOf(other);
  t.equal('error' in outcome && outcome.error.code, 'invalid-image');
});

t.test('wrong lengths in headers end in an error', async (t) => {
  for (const [name, bytes] of Object.entries(await wholeFiles()))
    for (const value of [0, 1, 0x7fffffff, 0xffffffff])
      for (let at = 4; at < 64; at += 4) {
        const other = Buffer.from(bytes);
        other.writeUInt32BE(value, at);
        const outcome = await outcomeOf(other);
        t.ok('error' in outcome || outcome.pixels.length === RULE.crop ** 2 * 3, `${name}: ${value} at ${at}`);
      }
});

t.test('20 MiB of structure without pixels are parsed quickly, and end in an error', async (t) => {
  const latin = (text: string) => Buffer.from(text, 'latin1');
  const heif = (type: string, unit: string) => {
    const box = latin(`\x01\x3f\xff\x00${type}`);
    const meta = Buffer.concat([latin('\x01\x3f\xff\xf0meta'), Buffer.alloc(4), box]);
    return [Buffer.concat([latin('\x00\x00\x00\x10ftypavif\x00\x00\x00\x00'), meta]), latin(unit)] as const;
  };
  const files: Record<string, readonly [start: Buffer, unit: Buffer]> = {
    'JPEG of empty scans': [latin('\xff\xd8\xff\xe0\x00\x02'), latin('\xff\xda\x00\x02')],
    'JPEG of fill bytes': [latin('\xff\xd8\xff'), latin('\xff')],
    'PNG of empty text': [latin('\x89PNG\r\n\x1a\n'), latin('\x00\x00\x00\x00tEXt\x00\x00\x00\x00')],
    'WebP of empty chunks': [latin('RIFF\xff\xff\xff\x7fWEBP'), latin('abcd\x00\x00\x00\x00')],
    'GIF of empty comments': [latin('GIF89a\x01\x00\x01\x00\x00\x00\x00'), latin('\x21\xfe\x00')],
    'AVIF of empty boxes': [latin('\x00\x00\x00\x10ftypavif\x00\x00\x00\x00'), latin('\x00\x00\x00\x08free')],
    'AVIF of empty properties': heif('ipco', '\x00\x00\x00\x08free'),
    'AVIF of references': heif('iref', '\x00\x00\x00\x0eauxl\x00\x02\x00\x01\x00\x01'),
    'AVIF of places': heif('iloc', '\x00\x01\x00\x00\xff\xff'),
  };
  for (const [name, [start, unit]] of Object.entries(files)) {
    const before = process.cpuUsage();
    const outcome = await outcomeOf(Buffer.concat([start, Buffer.alloc(20 * 2 ** 20 - start.length, unit)]));
    const { user, system } = process.cpuUsage(before);
    t.ok('error' in outcome, `${name} is refused`);
    // CPU time, so that a busy host does not count: about 0.2 s; what is not linear takes minutes.
    t.ok(user + system < 10e6, `${name}: ${((user + system) / 1e6).toFixed(1)} s`);
  }
});
