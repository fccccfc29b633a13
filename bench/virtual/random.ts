/** Random numbers with further distributions; they depend on the seed only. */
import { exponential, type Random } from '../../src/load/random.js';

/** Standard normal distribution (Box and Muller 1958). */
const normal = (random: Random): number => Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random());

/**
 * Gamma distribution with this shape and mean 1; its squared coefficient of variation is 1 / shape. Method: Marsaglia
 * and Tsang, A simple method for generating gamma variables (2000). For a shape below 1, as they note: a gamma variable
 * of shape + 1 times u^(1 / shape).
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
