/** The service time of a run by its batch size n, as a line a + b n. Pure. */
import { quantileOf } from './quantile.js';

/** Lower bound of a time in ms: a coarse clock may measure 0, but no time is 0. */
export const LEAST_MS = 0.001;

export interface Line {
  /** The part that does not depend on the batch size, in ms; not negative. */
  readonly aMs: number;
  /** The part for each picture, in ms; not negative. */
  readonly bMs: number;
}

/** Batch size -> measured ms of each run of that size. */
export type SamplesOfSizes = Readonly<Record<string, readonly number[]>>;

/**
 * The quantile that stands for the runs of one size. Disturbances only make a run longer, so that up to three quarters
 * of the runs may be disturbed. The minimum would depend on a single run that was measured too short.
 */
export const LOW = 0.25;

/**
 * Fits a line to the LOW quantile of each size, by least squares of relative errors, so that each size counts alike. a
 * and b are not negative: the time never falls with n, and the time per picture never rises. undefined without samples.
 */
export function lineOf(samples: SamplesOfSizes): Line | undefined {
  const points = Object.entries(samples).flatMap(([size, values]) => {
    const ms = quantileOf(values, LOW);
    return ms !== undefined && Number(size) >= 1 ? [{ n: Number(size), ms: Math.max(LEAST_MS, ms) }] : [];
  });
  if (points.length === 0) return undefined;
  // Relative errors: minimises the squares of a / ms + b n / ms - 1.
  let [aa, ab, bb, a1, b1] = [0, 0, 0, 0, 0];
  for (const { n, ms } of points) {
    const [u, v] = [1 / ms, n / ms];
    aa += u * u;
    ab += u * v;
    bb += v * v;
    a1 += u;
    b1 += v;
  }
  const through = (a: number, b: number) => ({ aMs: a, bMs: b });
  const determinant = aa * bb - ab * ab;
  // With one size nothing is known about the saving of a batch. To expect none never promises too much.
  if (points.length === 1 || determinant <= 0) return through(0, b1 / bb);
  const [a, b] = [(a1 * bb - b1 * ab) / determinant, (b1 * aa - a1 * ab) / determinant];
  if (a < 0) return through(0, b1 / bb);
  if (b < 0) return through(a1 / aa, 0);
  return through(a, b);
}
