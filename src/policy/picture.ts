/** A picture that waits, and its place in the queue. */
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';

/** The batch sizes that run, smallest first: few, so that each can be warmed and measured. */
export const BATCH_SIZES = [1, 2, 4, 8] as const;
export const MAX_BATCH = 8;

export interface Waiting {
  /** Most accurate first, never empty, all of one family. */
  readonly allowed: readonly Instance[];
  /** When the logits must be there; Infinity if there is no promise. */
  readonly deadlineMs: number;
  /** A strict picture is never run late; another one runs late rather than not at all. */
  readonly strict: boolean;
  /** Not strict, and no longer able to be in time. */
  readonly late: boolean;
  readonly arrivalMs: number;
}

/** ms of a run of so many pictures, a high quantile. */
export type Predict = (instance: Instance, size: number) => number;

/** A picture without a deadline waits about this long before it goes ahead of ones that have one. */
const PATIENCE_MS = 1000;

/** Place in the queue, smallest first: by deadline; without one, as if it were PATIENCE_MS; late ones after all others. */
export function rankOf(w: Pick<Waiting, 'late' | 'deadlineMs' | 'arrivalMs'>): number {
  return w.late ? Number.POSITIVE_INFINITY : Math.min(w.deadlineMs, w.arrivalMs + PATIENCE_MS);
}

/** By rank, then by arrival. */
export function byRank(a: Waiting, b: Waiting): number {
  const [x, y] = [rankOf(a), rankOf(b)];
  return x === y ? a.arrivalMs - b.arrivalMs : x - y;
}

/** The allowed instance that runs alone the fastest on this host. */
export function fastest(allowed: readonly Instance[], predict: Predict): Instance {
  return allowed.reduce((a, b) => (predict(b, 1) < predict(a, 1) ? b : a));
}

/** ms of one thread for one picture in a full batch: the best rate that an instance reaches. */
export const bestRate = (instance: Instance, predict: Predict): number => predict(instance, MAX_BATCH) / MAX_BATCH;

/** What a picture takes at least. One instance may be the fastest alone and another in full batches. */
export interface Least {
  /** ms of a run of its own. */
  readonly aloneMs: number;
  /** ms of one thread in a full batch. */
  readonly rateMs: number;
}

/**
 * Least of a list of allowed instances, computed once for each list: thousands may wait, with the limits of a few
 * budgets (the scheduler gives equal lists one identity).
 */
export function leastOf(predict: Predict): (allowed: readonly Instance[]) => Least {
  const known = new Map<readonly Instance[], Least>();
  return (allowed) =>
    getOrInsert(known, allowed, () => ({
      aloneMs: Math.min(...allowed.map((i) => predict(i, 1))),
      rateMs: Math.min(...allowed.map((i) => bestRate(i, predict))),
    }));
}
