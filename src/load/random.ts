/** Random numbers that depend on the seed only, not on the host or the version of node. */

/** Uniform in [0, 1). */
export type Random = () => number;

/** mulberry32 by Tommy Ettinger, public domain (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c). */
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

/** Exponential distribution with mean 1. The logarithm is finite, because 1 - u is never 0. */
export const exponential = (random: Random): number => -Math.log(1 - random());
