/** Whether a request could be answered in time behind all that is ahead of it. Pure. */
import type { Forecast } from './arrivals.js';
import { type Cpus, type Latency, limitsOf, rankOf, type Waiting, wallMs } from './picture.js';

/** Pictures that are admitted and not in the queue yet. */
export interface Expected {
  readonly places: number;
  /** ms of one thread for each of them, at their best rate. */
  readonly workMs: number;
  /** Its place among those that wait: `rank`. */
  readonly rankMs: number;
}

export interface Load extends Latency, Cpus, Pick<Forecast, 'lastingPerMs'> {
  readonly nowMs: number;
  readonly waiting: readonly Waiting[];
  readonly expected: Iterable<Expected>;
  /** When each running batch should end. */
  readonly runningUntilMs: readonly number[];
}

/** What runs before a picture of this rank, if all of it runs at its best rate. late: count those that are late, too. */
function ahead(rankMs: number, load: Load, late = false): { pictures: number; waitMs: number } {
  const { nowMs, threads, waiting, expected, runningUntilMs } = load;
  const limits = limitsOf(load);
  let [pictures, work] = [0, 0];
  for (const w of waiting) {
    if ((w.late && !late) || rankOf(w) > rankMs) continue;
    pictures += 1;
    work += limits(w.allowed).rateMs;
  }
  for (const e of expected) {
    if (e.rankMs > rankMs) continue;
    pictures += e.places;
    work += e.places * e.workMs;
  }
  const ends = runningUntilMs.map((end) => Math.max(0, end - nowMs));
  const busyMs = ends.length < threads ? 0 : Math.min(...ends);
  return { pictures, waitMs: busyMs + work / threads };
}

/** ms until a picture of this rank could start. */
export const backlogMs = (rankMs: number, load: Load): number => ahead(rankMs, load).waitMs;

/** ms until a picture could start that goes after all others, late ones too, if nothing else comes. */
export const wholeBacklogMs = (load: Load): number => ahead(Number.POSITIVE_INFINITY, load, true).waitMs;

/**
 * When so many pictures of one request should be done. decodeMs: until they should be decoded, meanwhile what is ahead
 * runs. Behind others they run in batches with them, as only batches keep the rate that is counted on.
 *
 * While more comes than can be served, and not for a moment only, the queue is always as long as deadlines let it be.
 * What runs a little later than predicted then has time for a small batch only, the next one for a smaller one, and more
 * and more of what was admitted expires. So then there has to be time for one more full batch. A burst is over before that
 * happens: to refuse some of it would gain nothing.
 */
export function finishMs(
  { allowed, late, deadlineMs }: Pick<Waiting, 'allowed' | 'late' | 'deadlineMs'>,
  pictures: number,
  decodeMs: number,
  load: Load,
): number {
  const { nowMs, threads, lastingPerMs, besidesMs } = load;
  const { aloneMs, batch, rateMs } = limitsOf(load)(allowed);
  const overloaded = lastingPerMs * wallMs(load, batch.costMs / batch.size, besidesMs) >= 1;
  const before = ahead(rankOf({ late, deadlineMs, arrivalMs: nowMs }), load);
  const share = Math.min(1, (before.pictures / threads + pictures - 1) / Math.max(1, batch.size - 1));
  const runMs = aloneMs + share * (Math.max(0, batch.highMs - aloneMs) + (overloaded ? batch.costMs : 0));
  return nowMs + Math.max(decodeMs, before.waitMs) + runMs + ((pictures - 1) * rateMs) / threads;
}
