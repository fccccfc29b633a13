/** Pixels as a file: the very same pixels come out again. */
import t from 'tap';
import type { ResizeRule } from '../../src/family/instance.js';
import { peek } from '../../src/image/peek.js';
import { fileOfPixels } from '../../src/image/pixels.js';
import { readPicture } from '../support/decoding.js';
import { pixels } from '../support/v2.js';

const rule = (size: number): ResizeRule => ({ size, crop: size, kernel: 'cubic', alpha: 'white' });

t.test('what goes in comes out', async (t) => {
  for (const size of [1, 7, 16, 224]) {
    const raw = pixels(size, size);
    t.same(Buffer.from(await readPicture(fileOfPixels(raw, size, size), rule(size), 1e6)), raw, `${size}`);
  }
});

t.test('width and height are not taken for each other', async (t) => {
  // Left half black, right half white, four times as wide as high.
  const raw = Buffer.from(Array.from({ length: 4 * 16 * 3 }, (_, n) => (Math.floor(n / 3) % 16 < 8 ? 0 : 255)));
  const middle = await readPicture(fileOfPixels(raw, 16, 4), rule(4), 1e6);
  t.same([...middle.subarray(0, 12)], [...Array(6).fill(0), ...Array(6).fill(255)]);
});

t.test('its size is known before it is decoded', (t) => {
  const { kind, megapixels } = peek(fileOfPixels(pixels(300, 200), 300, 200));
  t.equal(kind, 'TIFF');
  t.ok(Math.abs(megapixels - 0.06) < 0.001);
  t.end();
});

t.test('limits hold as for any file', async (t) => {
  await t.rejects(readPicture(fileOfPixels(pixels(20, 20), 20, 20), rule(16), 399), { code: 'image-too-large' });
});
