/**
 * Admission: predicts when a request would be done if it were queued now, and whether it would make a queued picture
 * miss its deadline. Every picture is counted on its cheapest instance. Work ahead of the request counts at its mean,
 * the request's own run at the 95th percentile. Pure; derived in docs/scheduling.md, "Admission".
 */
import type { WallMs } from '../latency/units.js';
import { choiceAt, type OffersOf, offersOf } from './price.js';
import {
  drainMs,
  fullBatch,
  otherMs,
  rankOf,
  remainingDecodeMs,
  runningMs,
  type Snapshot,
  type Waiting,
  type Work,
} from './snapshot.js';

/** A request before it is admitted. Its pictures have all in common but the times of their decodes. */
export type Asking = Pick<Waiting, 'allowed' | 'deadlineMs' | 'bestEffort' | 'arrivalMs'> & {
  readonly decodes: readonly Waiting['decode'][];
};

export interface Foresight {
  /** When the request's last picture should be done, in the clock's ms. */
  readonly doneMs: number;
  /** false if a queued picture that is due later would miss its deadline because of this request. */
  readonly harmless: boolean;
}

export function foresee(asking: Asking, snapshot: Snapshot): Foresight {
  const { nowMs, cpus, margin } = snapshot;
  const { allowed, decodes } = asking;
  const offers = offersOf(snapshot);
  const rankMs = rankOf(asking);
  const ahead = workOf(snapshot, offers, (w) => rankOf(w) <= rankMs);
  const cheapest = choiceAt(offers(allowed), Number.POSITIVE_INFINITY);
  const own = {
    network: cheapest.cpuMs * decodes.length,
    other: decodes.reduce((sum, { cpuMs }) => sum + cpus.answerMs + cpuMs, 0),
  };
  const longestMs = decodes.reduce((longest, { meanMs }) => Math.max(longest, meanMs), 0);
  // Several pictures are decoded on shared CPUs; the request needs the last of them.
  const togetherMs = decodes.length > 1 ? Math.max(longestMs, drainMs(snapshot, own)) : longestMs;
  const one = { network: cheapest.cpuMs, other: cpus.answerMs + (decodes[0]?.cpuMs ?? 0) };
  const runMs = runOf(allowed, ahead.pictures, one, snapshot, offers);
  return {
    doneMs: nowMs + margin * drainMs(snapshot, ahead) + togetherMs + runMs,
    harmless: noneTooLate(rankMs, own, snapshot, offers),
  };
}

/**
 * Wall time to reserve for the request's own run; `ahead` is the number of pictures before it, `one` the work of a
 * picture.
 * - Nothing ahead: the 95th percentile of a run of one picture.
 * - Others ahead: the mean of a run in a batch with them. The load that makes runs slower is already counted as work
 *   ahead.
 * - Overloaded (even the cheapest instance cannot keep up with arrivals) and batching saves much CPU: the 95th
 *   percentile of a full batch. Otherwise deadlines leave time for ever smaller batches, which take more CPU for each
 *   picture.
 */
function runOf(allowed: Asking['allowed'], ahead: number, one: Work, snapshot: Snapshot, offers: OffersOf): WallMs {
  const { threads, arrivalsPerMs, latency, batchSizes, tuning } = snapshot;
  const size = batchSizes.findLast((n) => n <= 1 + ahead / threads) ?? 1;
  if (size === 1) return offers(allowed).fastestHighMs;
  const { key } = choiceAt(offers(allowed), Number.POSITIVE_INFINITY).instance;
  const most = fullBatch(snapshot);
  const full = latency.run(key, most);
  const overloaded = arrivalsPerMs * drainMs(snapshot, one) >= 1;
  const saves = latency.run(key, 1).cpuMs >= (tuning.batchSaving * full.cpuMs) / most;
  return overloaded && saves ? full.highMs : latency.run(key, size).meanMs;
}

/**
 * The backlog: ms until everything that is queued and running now would be done, each picture on its cheapest instance.
 */
export const backlogMs = (snapshot: Snapshot): WallMs =>
  snapshot.margin *
  drainMs(
    snapshot,
    workOf(snapshot, offersOf(snapshot), () => true),
  );

/** CPU time of the running batches and of the waiting pictures that `counts` selects, each on its cheapest instance. */
function workOf(snapshot: Snapshot, offers: OffersOf, counts: (w: Waiting) => boolean): Work & { pictures: number } {
  const work = { network: runningMs(snapshot), other: 0, pictures: 0 };
  for (const w of snapshot.waiting) {
    if (!counts(w)) continue;
    add(work, w, snapshot, offers);
    work.pictures += 1;
  }
  return work;
}

function add(work: { network: number; other: number }, w: Waiting, { cpus }: Snapshot, offers: OffersOf): void {
  work.network += choiceAt(offers(w.allowed), Number.POSITIVE_INFINITY).cpuMs;
  work.other += otherMs(w, cpus);
}

/**
 * Whether every picture with a rank above `rankMs` stays in time when the work `more` is put ahead of it. A picture
 * that would be late without that work does not count.
 */
function noneTooLate(rankMs: number, more: Work, snapshot: Snapshot, offers: OffersOf): boolean {
  const { nowMs, waiting, margin } = snapshot;
  const work = { network: runningMs(snapshot), other: 0 };
  for (const w of waiting) {
    if (w.bestEffort) break;
    if (rankOf(w) > rankMs && w.deadlineMs !== Number.POSITIVE_INFINITY) {
      const slackMs = w.deadlineMs - nowMs - remainingDecodeMs(w) - offers(w.allowed).fastestHighMs;
      const after = { network: work.network + more.network, other: work.other + more.other };
      if (margin * drainMs(snapshot, work) <= slackMs && margin * drainMs(snapshot, after) > slackMs) return false;
    }
    add(work, w, snapshot, offers);
  }
  return true;
}
