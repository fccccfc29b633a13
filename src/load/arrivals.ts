/** When requests are sent. */
import { exponential, type Random } from './random.js';

/** Arrival times of a renewal process, ascending. gap: draws the time between two arrivals, mean 1; perMs: mean rate. */
export function renewal(perMs: number, durationMs: number, gap: () => number): number[] {
  const arrivals: number[] = [];
  for (let at = gap() / perMs; at < durationMs; at += gap() / perMs) arrivals.push(at);
  return arrivals;
}

/** Arrival times of a Poisson process, as many independent clients cause. perMs: mean rate. */
export const poisson = (perMs: number, durationMs: number, random: Random): number[] =>
  renewal(perMs, durationMs, () => exponential(random));
