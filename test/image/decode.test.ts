import sharp from 'sharp';
import t from 'tap';
import type { DimmerError } from '../../src/errors.js';
import type { ResizeRule } from '../../src/family/instance.js';
import { picture } from '../support/app.js';
import { readPicture } from '../support/decoding.js';
import { HEIC, hugePng, PDF, SVG } from '../support/pictures.js';

const RULE = { size: 16, crop: 16, kernel: 'cubic', alpha: 'white' } as const;
const MAX_PIXELS = 1_000_000;
const read = (bytes: Uint8Array, rule = RULE as ResizeRule) => readPicture(bytes, rule, MAX_PIXELS);
const failure = (bytes: Uint8Array) =>
  read(bytes).then(
    () => undefined,
    (error) => error as DimmerError,
  );

/** 16 x 16 pixels that are all different. */
const PIXELS = Buffer.from(Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 37) % 256));
const exact = () => sharp(PIXELS, { raw: { width: 16, height: 16, channels: 3 } });

for (const format of ['png', 'jpeg', 'webp', 'avif', 'gif', 'tiff'] as const) {
  t.test(`${format} is read`, async (t) => {
    const pixels = await read(await picture(format, 40, 30));
    t.equal(pixels.length, 16 * 16 * 3);
    t.ok(Math.abs((pixels[0] as number) - 0xc0) < 8, 'in RGB order');
    t.ok(Math.abs((pixels[2] as number) - 0x80) < 8);
  });
}

t.test('a lossless picture of the input size arrives bit for bit', async (t) => {
  t.same([...(await read(await exact().png().toBuffer()))], [...PIXELS]);
  t.same([...(await read(await exact().webp({ lossless: true }).toBuffer()))], [...PIXELS]);
});

t.test('grey, 16-bit, CMYK and transparent pictures become three channels', async (t) => {
  const grey = await read(await exact().greyscale().png().toBuffer());
  t.equal(grey.length, 768);
  t.equal(grey[0], grey[1]);
  t.equal((await read(await exact().toColourspace('rgb16').png().toBuffer())).length, 768);
  t.equal((await read(await exact().toColourspace('cmyk').jpeg().toBuffer())).length, 768);
  const clear = await sharp({
    create: { width: 16, height: 16, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } },
  })
    .png()
    .toBuffer();
  t.same([...(await read(clear)).slice(0, 3)], [255, 255, 255], 'flattened on white');
  t.same([...(await read(clear, { ...RULE, alpha: 'drop' })).slice(0, 3)], [9, 9, 9], 'or dropped');
});

t.test('EXIF orientation is obeyed', async (t) => {
  const left = Buffer.alloc(16 * 16 * 3);
  for (let y = 0; y < 16; y++) left.fill(255, y * 48, y * 48 + 24); // white on the left
  const turned = await sharp(left, { raw: { width: 16, height: 16, channels: 3 } })
    .withMetadata({ orientation: 3 })
    .png()
    .toBuffer();
  const pixels = await read(turned);
  t.equal(pixels[0], 0, 'turned by 180 degrees: white is on the right');
  t.equal(pixels[47], 255);
});

t.test('the shorter side is resized and the centre cut out', async (t) => {
  const wide = Buffer.alloc(48 * 16 * 3);
  for (let y = 0; y < 16; y++) wide.fill(255, (y * 48 + 16) * 3, (y * 48 + 32) * 3); // white third in the middle
  const bytes = await sharp(wide, { raw: { width: 48, height: 16, channels: 3 } })
    .png()
    .toBuffer();
  t.ok((await read(bytes)).every((v) => v === 255));
  const cropped = await read(bytes, { ...RULE, size: 16, crop: 8 });
  t.equal(cropped.length, 8 * 8 * 3);
});

t.test('only the first frame of an animation is read', async (t) => {
  const frames = await sharp([await picture('png'), await picture('png')], { join: { animated: true } })
    .gif()
    .toBuffer();
  t.equal((await read(frames)).length, 768);
});

t.test('a body of another kind is refused, and its kind is named', async (t) => {
  const cases: [Uint8Array, RegExp][] = [
    [SVG, /SVG/],
    [PDF, /PDF/],
    [HEIC, /HEIC/],
    [new Uint8Array(), /empty/],
    [Buffer.from('hello, this is text and not a picture'), /no picture/],
    [Buffer.from('{"image": "aGVsbG8="}'), /JSON/],
  ];
  for (const [bytes, pattern] of cases) {
    const error = await failure(bytes);
    t.equal(error?.code, 'unsupported-media');
    t.match(error?.facts.detail, pattern);
  }
});

t.test('truncated pictures are damaged, not guessed at', async (t) => {
  const noise = sharp({
    create: {
      width: 200,
      height: 200,
      channels: 3,
      background: '#888',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  });
  for (const format of ['png', 'jpeg', 'webp', 'gif'] as const) {
    const bytes = await noise.clone().toFormat(format).toBuffer();
    t.equal((await failure(bytes.subarray(0, bytes.length / 2)))?.code, 'invalid-image', format);
  }
});

t.test('too many pixels are refused before decoding, with the figures', async (t) => {
  const bytes = hugePng(2000, 1000);
  t.ok(bytes.length < 100_000);
  const error = await failure(bytes);
  t.equal(error?.code, 'image-too-large');
  t.match(error?.facts.detail, '2000 x 1000');
});
