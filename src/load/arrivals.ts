/** When requests are sent. */
import { exponential, type Random } from './random.js';

/** Times in ms from the start, in order. gap: draws the time to the next one, with mean 1; perMs: the mean rate. */
export function renewal(perMs: number, durationMs: number, gap: () => number): number[] {
  const arrivals: number[] = [];
  for (let at = gap() / perMs; at < durationMs; at += gap() / perMs) arrivals.push(at);
  return arrivals;
}

/** Independent of each other, as the requests of many clients are. */
export const poisson = (perMs: number, durationMs: number, random: Random): number[] =>
  renewal(perMs, durationMs, () => exponential(random));
