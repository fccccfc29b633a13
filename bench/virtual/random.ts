/** Random numbers that depend on the seed only, not on the host or the version of node. */

/** Uniform in [0, 1). */
export type Random = () => number;

/**
 * mulberry32 by Tommy Ettinger, public domain (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c).
 */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Derives a seed for one purpose (FNV-1a hash over both), so that different purposes get independent numbers. */
export function seedFor(seed: number, use: string): number {
  let hash = 0x811c9dc5 ^ seed;
  for (const character of use) hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193);
  return hash >>> 0;
}

/** Exponential distribution with mean 1. */
export const exponential = (random: Random): number => -Math.log(1 - random());

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
