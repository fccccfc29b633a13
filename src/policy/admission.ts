/** Whether a request could be answered in time behind all that is ahead of it. Pure. */
import { leastOf, type Predict, rankOf, type Waiting } from './picture.js';

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
  const least = leastOf(predict);
  let work = 0;
  for (const w of waiting) if (!w.late && rankOf(w) <= rankMs) work += least(w.allowed).rateMs;
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
  const { aloneMs, rateMs } = leastOf(predict)(allowed);
  const aheadMs = backlogMs(rankOf({ late, deadlineMs, arrivalMs: nowMs }), load);
  return nowMs + Math.max(decodeMs, aheadMs) + aloneMs + ((pictures - 1) * rateMs) / threads;
}
