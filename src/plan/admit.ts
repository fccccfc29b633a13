/**
 * Whether a request can be answered in time: the question of the level (level.ts), asked at the cheapest instances, with
 * the mean for what is ahead and what is hardly exceeded for the request's own run. Pure.
 */
import type { WallMs } from '../latency/units.js';
import { remainingDecodeMs } from './level.js';
import { choiceAt, type OffersOf, offersOf } from './price.js';
import {
  BATCH_SIZES,
  drainMs,
  otherMs,
  rankOf,
  runningMs,
  type Snapshot,
  type Waiting,
  type Work,
} from './snapshot.js';

/** A request before it is admitted: pictures that differ in their decoding only. */
export type Asking = Pick<Waiting, 'allowed' | 'deadlineMs' | 'bestEffort' | 'arrivalMs'> & {
  readonly decodes: readonly Waiting['decode'][];
};

export interface Foresight {
  /** When its last picture should be done, in the clock's ms. */
  readonly doneMs: number;
  /** Whether every picture that is due later would still be in time. */
  readonly harmless: boolean;
}

export function foresee(asking: Asking, snapshot: Snapshot): Foresight {
  const { nowMs, threads, cpus, margin, latency } = snapshot;
  const { allowed, decodes } = asking;
  const offers = offersOf(latency);
  const rankMs = rankOf(asking);
  const ahead = workOf(snapshot, offers, (w) => rankOf(w) <= rankMs);
  const cheapest = choiceAt(offers(allowed), Number.POSITIVE_INFINITY);
  const own = {
    network: cheapest.cpuMs * decodes.length,
    other: decodes.reduce((sum, { cpuMs }) => sum + cpus.answerMs + cpuMs, 0),
  };
  const longestMs = decodes.reduce((longest, { meanMs }) => Math.max(longest, meanMs), 0);
  // Several pictures share the CPUs among themselves, and the last of them counts.
  const togetherMs = decodes.length > 1 ? Math.max(longestMs, drainMs(snapshot, own)) : longestMs;
  // Behind others it runs in a batch with them.
  const size = BATCH_SIZES.findLast((n) => n <= 1 + ahead.pictures / threads) ?? 1;
  const its = latency.run(cheapest.instance.key, size);
  const runMs = size === 1 ? offers(allowed).fastestHighMs : its.meanMs;
  return {
    doneMs: nowMs + margin * drainMs(snapshot, ahead) + togetherMs + runMs,
    harmless: noneTooLate(rankMs, own, snapshot, offers),
  };
}

/** Time until a picture could start that lets all others go first, if nothing else comes. */
export const backlogMs = (snapshot: Snapshot, offers: OffersOf = offersOf(snapshot.latency)): WallMs =>
  snapshot.margin *
  drainMs(
    snapshot,
    workOf(snapshot, offers, () => true),
  );

/** What runs, and the pictures that are counted, each on its cheapest instance. */
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

/** Whether those behind have time for so much more work ahead of them; one that is too late as it is does not count. */
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
