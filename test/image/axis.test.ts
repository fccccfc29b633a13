/** The positions of output pixels when a small picture is enlarged. */
import t from 'tap';
import { axis } from '../../src/image/enlarge.js';

/** Centre of an output pixel in coordinates of the picture, by the result of `axis`. */
function placeOf(output: number, { from, scale, first, rest }: ReturnType<typeof axis>): number {
  return from + (first + rest + output + 0.5) / scale - 0.5;
}

/**
 * The same by the resize rule: shorter side to `size`, then the centred `crop` pixels; pixel centres map to centres.
 */
function expectedPlace(output: number, length: number, shorter: number, size: number, crop: number): number {
  const whole = Math.max(size, Math.round((length * size) / shorter));
  const before = Math.floor((whole - size + 1) / 2) + Math.floor((size - crop) / 2);
  return ((before + output + 0.5) * length) / whole - 0.5;
}

/** [length, shorter, size, crop] */
const CASES = [
  [24, 24, 32, 32],
  [16, 8, 32, 32],
  [23, 8, 32, 20],
  [9, 9, 33, 28],
  [31, 31, 32, 29],
  [300, 3, 292, 260],
  [1, 1, 32, 32],
] as const;

for (const [length, shorter, size, crop] of CASES) {
  t.test(`${length} of ${shorter} to ${size}, ${crop} of it: every output pixel lies where the rule has it`, (t) => {
    const found = axis(length, shorter, { size, crop });
    for (const output of [0, 1, crop - 1]) {
      const expected = expectedPlace(output, length, shorter, size, crop);
      t.ok(Math.abs(placeOf(output, found) - expected) < 1e-9, `${output}: ${placeOf(output, found)}, not ${expected}`);
    }
    const { scale, first, rest } = found;
    t.equal(scale, Math.max(size, Math.round((length * size) / shorter)) / length);
    t.ok(Number.isInteger(first) && rest >= 0 && rest < 1, 'a whole pixel, and the rest of one');
    t.end();
  });

  t.test(
    `${length} of ${shorter} to ${size}, ${crop} of it: what an interpolator reads is there, and little more`,
    (t) => {
      const { from, count } = axis(length, shorter, { size, crop });
      const [firstPlace, lastPlace] = [0, crop - 1].map((o) => expectedPlace(o, length, shorter, size, crop));
      // A cubic one reads the two pixels on either side of a place.
      t.equal(from, Math.floor(firstPlace as number) - 2);
      t.equal(from + count - 1, Math.ceil(lastPlace as number) + 2);
      t.end();
    },
  );
}

t.test('a side is never enlarged to less than the square, whatever rounding says', (t) => {
  t.equal(axis(3, 4, { size: 32, crop: 32 }).scale, 32 / 3);
  t.end();
});
