/** Random numbers with other distributions than those of src/load/random.ts, as repeatable. */
import { exponential, type Random } from '../../src/load/random.js';

/** Standard normal, by Box and Muller (1958). */
const normal = (random: Random): number => Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random());

/**
 * Gamma with this shape and mean 1, so with a squared coefficient of variation of 1 / shape. Marsaglia and Tsang, A
 * simple method for generating gamma variables (2000); a shape below 1 by their note: that of shape + 1, times
 * u^(1 / shape).
 */
export function gamma(shape: number, random: Random): number {
  if (shape < 1) return ((gamma(shape + 1, random) * (shape + 1)) / shape) * (1 - random()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return (d * v) / shape;
  }
}
