import sharp, { type Sharp } from 'sharp';
import t from 'tap';
import type { ResizeRule } from '../../src/family/instance.js';
import { axis } from '../../src/image/enlarge.js';
import { readPicture } from '../support/decoding.js';

const RULE = { size: 32, crop: 32, kernel: 'cubic', alpha: 'white' } as const satisfies ResizeRule;
const MAX_PIXELS = 1_000_000;

type Colour = (x: number, y: number) => [number, number, number];

const image = (width: number, height: number, colour: Colour) =>
  sharp(
    Buffer.from(Array.from({ length: width * height }, (_, n) => colour(n % width, Math.floor(n / width))).flat()),
    { raw: { width, height, channels: 3 } },
  );
const read = async (of: Sharp, rule: ResizeRule = RULE) => readPicture(await of.png().toBuffer(), rule, MAX_PIXELS);

/** [width, height, size, crop] of pictures whose shorter side is below `size`. */
const CASES = [
  [24, 24, 32, 32],
  [31, 32, 32, 32],
  [23, 40, 32, 32],
  [40, 23, 32, 28],
  [5, 9, 32, 32],
  [60, 13, 32, 17],
  [61, 77, 292, 260],
  [17, 19, 292, 260],
] as const;

for (const [width, height, size, crop] of CASES) {
  const name = `${width}x${height} to ${size}, ${crop} of it`;
  const rule = { ...RULE, size, crop };

  t.test(`${name}: pixels come from where they belong`, async (t) => {
    const step = Math.floor(250 / Math.max(width, height));
    const pixels = await read(
      image(width, height, (x, y) => [step * x, step * y, 7]),
      rule,
    );
    const whole = [width, height].map((side) => Math.max(size, Math.round((side * size) / Math.min(width, height))));
    const place = (output: number, along: 0 | 1) => {
      const [length, enlarged] = [[width, height][along] as number, whole[along] as number];
      const before = Math.floor((enlarged - size + 1) / 2) + Math.floor((size - crop) / 2);
      return ((before + output + 0.5) * length) / enlarged - 0.5;
    };
    // Away from the border, where a ramp goes on.
    const inside = (at: number, along: 0 | 1) => at > 2 && at < ([width, height][along] as number) - 3;
    let [compared, worst] = [0, 0];
    for (let y = 0; y < crop; y++)
      for (let x = 0; x < crop; x++)
        for (const along of [0, 1] as const) {
          const at = place([x, y][along] as number, along);
          if (!inside(at, along)) continue;
          compared++;
          worst = Math.max(worst, Math.abs((pixels[(y * crop + x) * 3 + along] as number) / step - at));
        }
    if (Math.min(width, height) > 6) t.ok(compared > 100, `${compared} compared`);
    t.ok(worst < 0.05 + 1 / step, `${worst} pixels off at most`); // values are whole: one of them is 1 / step pixels
  });

  t.test(`${name}: one colour stays so up to the border`, async (t) => {
    const pixels = await read(
      image(width, height, () => [200, 100, 50]),
      rule,
    );
    t.equal(pixels.length, crop * crop * 3);
    t.same(new Set(pixels), new Set([200, 100, 50]));
  });
}

for (const kernel of ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const) {
  t.test(`${kernel}: a mirrored picture gives the mirrored pixels`, async (t) => {
    // 11 to 33: three for each, so that no output pixel lies between two for `nearest`.
    const noise: Colour = (x, y) => [(37 * x + 91 * y) % 251, (53 * x * y + 11) % 251, (17 * x + 5 * y * y) % 251];
    const picture = image(11, 11, noise);
    const rule = { ...RULE, size: 33, crop: 33, kernel };
    const [upright, mirrored] = [await read(picture.clone(), rule), await read(picture.clone().flop(), rule)];
    let worst = 0;
    for (let y = 0; y < 33; y++)
      for (let x = 0; x < 33; x++)
        for (let c = 0; c < 3; c++) {
          const other = mirrored[(y * 33 + 32 - x) * 3 + c] as number;
          worst = Math.max(worst, Math.abs((upright[(y * 33 + x) * 3 + c] as number) - other));
        }
    t.ok(worst <= 2, `${worst} levels apart at most`);
  });
}

t.test('small pictures too are turned, and flattened on white', async (t) => {
  const left: Colour = (x) => (x < 4 ? [255, 255, 255] : [0, 0, 0]);
  const turned = await image(8, 8, left).withMetadata({ orientation: 3 }).png().toBuffer();
  const pixels = await readPicture(turned, RULE, MAX_PIXELS);
  t.equal(pixels[0], 0);
  t.equal(pixels[31 * 3], 255);
  const wide = await image(8, 4, left).withMetadata({ orientation: 6 }).png().toBuffer();
  t.equal((await readPicture(wide, RULE, MAX_PIXELS)).length, 32 * 32 * 3, 'by the sides that it has when turned');
  const clear = sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } } });
  t.same(new Set(await read(clear.clone())), new Set([255]));
  t.same(new Set(await read(clear, { ...RULE, alpha: 'drop' })), new Set([9]));
});

t.test('of a strip only what is needed is enlarged', async (t) => {
  const { from, count } = axis(50_000, 1, { size: 292, crop: 260 });
  t.ok(count < 10);
  t.ok(from > 24_990 && from + count < 25_010, 'its middle');
  t.equal(
    (
      await read(
        image(3, 3000, (_, y) => [y % 251, 0, 0]),
        { ...RULE, size: 292, crop: 260 },
      )
    ).length,
    260 * 260 * 3,
  );
});

t.test('small pictures of every kind come out alike', async (t) => {
  const picture = () => image(8, 8, (x, y) => [(37 * x + 5 * y) % 256, 30 * y, 31 * x]);
  const frames = [await picture().png().toBuffer(), await picture().negate().png().toBuffer()];
  const kinds: Record<string, Buffer> = {
    palette: await picture().png({ palette: true }).toBuffer(),
    '16 bits': await picture().toColourspace('rgb16').png().toBuffer(),
    webp: await picture().webp({ lossless: true }).toBuffer(),
    animation: await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer(),
  };
  const expected = [...(await read(picture()))];
  for (const [kind, bytes] of Object.entries(kinds))
    t.same([...(await readPicture(bytes, RULE, MAX_PIXELS))], expected, kind);
  const grey = await read(picture().greyscale());
  t.equal(grey.length, 32 * 32 * 3);
  t.equal(grey[0], grey[1]);
  t.equal(
    (await readPicture(await picture().toColourspace('cmyk').jpeg().toBuffer(), RULE, MAX_PIXELS)).length,
    grey.length,
  );
});
