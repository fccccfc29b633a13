/** Whether a request could be answered in time behind all that is ahead of it. Pure. */
import { bestRate, fastest, type Predict, rank, type Waiting } from './picture.js';

/** Pictures that are admitted and not in the queue yet. */
export interface Expected {
  readonly places: number;
  /** ms of one thread for each of them, at their best rate. */
  readonly workMs: number;
  /** Its place among those that wait: `rank`. */
  readonly rankMs: number;
}

export interface Load {
  readonly nowMs: number;
  /** Engine threads alive, at least 1. */
  readonly threads: number;
  readonly waiting: readonly Waiting[];
  readonly expected: Iterable<Expected>;
  /** When each running batch should end. */
  readonly runningUntilMs: readonly number[];
  readonly predict: Predict;
}

/** ms until a picture of this rank could start, if all before it run at their best rate. */
export function backlogMs(rankMs: number, load: Load): number {
  const { nowMs, threads, waiting, expected, runningUntilMs, predict } = load;
  let work = 0;
  for (const w of waiting) if (!w.late && rank(w)[0] <= rankMs) work += bestRate(fastest(w.allowed, predict), predict);
  for (const e of expected) if (e.rankMs <= rankMs) work += e.places * e.workMs;
  const ends = runningUntilMs.map((end) => Math.max(0, end - nowMs));
  const busy = ends.length < threads ? 0 : Math.min(...ends);
  return busy + work / threads;
}

/**
 * When so many pictures of one request would be done at best. decodeMs: until they should be decoded, meanwhile what is
 * ahead runs.
 */
export function finishMs(
  { allowed, late, deadlineMs }: Pick<Waiting, 'allowed' | 'late' | 'deadlineMs'>,
  pictures: number,
  decodeMs: number,
  load: Load,
): number {
  const { nowMs, threads, predict } = load;
  const [rankMs] = rank({ late, deadlineMs, arrivalMs: nowMs });
  const best = fastest(allowed, predict);
  const ownMs = predict(best, 1) + ((pictures - 1) * bestRate(best, predict)) / threads;
  return nowMs + Math.max(decodeMs, backlogMs(rankMs, load)) + ownMs;
}
