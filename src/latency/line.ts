/** How long a run takes by its batch size: a line a + b n. Pure. */
import { quantileOf } from './quantile.js';

/** Nothing takes no time, though a clock may say so: the finest step that is kept, in ms. */
export const LEAST_MS = 0.001;

export interface Line {
  /** ms, not negative: what a run takes whatever its size. */
  readonly aMs: number;
  /** ms for each picture, not negative. */
  readonly bMs: number;
}

/** Batch size -> ms of runs of it. */
export type SamplesOfSizes = Readonly<Record<string, readonly number[]>>;

/**
 * Of the runs of one size this quantile counts. What disturbs a run makes it longer, so three quarters of them may be
 * disturbed; and a single one that was measured too short does not decide, as it would by the minimum.
 */
export const LOW = 0.25;

/**
 * The line with the least squares of relative errors, so that each size counts alike; a and b are not negative. So it never
 * falls with n, and a / n + b never rises. undefined without a sample.
 */
export function lineOf(samples: SamplesOfSizes): Line | undefined {
  const points = Object.entries(samples).flatMap(([size, values]) => {
    const ms = quantileOf(values, LOW);
    return ms !== undefined && Number(size) >= 1 ? [{ n: Number(size), ms: Math.max(LEAST_MS, ms) }] : [];
  });
  if (points.length === 0) return undefined;
  // In units of the time itself: a / ms + b n / ms should be 1.
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
  // One size alone: nothing says what a batch saves, and to expect nothing breaks no promise.
  if (points.length === 1 || determinant <= 0) return through(0, b1 / bb);
  const [a, b] = [(a1 * bb - b1 * ab) / determinant, (b1 * aa - a1 * ab) / determinant];
  if (a < 0) return through(0, b1 / bb);
  if (b < 0) return through(a1 / aa, 0);
  return through(a, b);
}
