/**
 * Whether a request can be answered in time: the question of the level (level.ts), asked at the cheapest instances, with
 * the mean for what is ahead and what is hardly exceeded for the request's own run. Pure.
 */
import type { WallMs } from '../latency/units.js';
import { choiceAt, type OffersOf, offersOf } from './price.js';
import {
  BATCH_SIZES,
  drainMs,
  MAX_BATCH,
  otherMs,
  rankOf,
  remainingDecodeMs,
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
  const { nowMs, cpus, margin, latency } = snapshot;
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
  const one = { network: cheapest.cpuMs, other: cpus.answerMs + (decodes[0]?.cpuMs ?? 0) };
  const runMs = runOf(allowed, ahead.pictures, one, snapshot, offers);
  return {
    doneMs: nowMs + margin * drainMs(snapshot, ahead) + togetherMs + runMs,
    harmless: noneTooLate(rankMs, own, snapshot, offers),
  };
}

/**
 * Its own run: alone what it hardly exceeds; behind others that of a batch with them, on average, as what slows it down is
 * the very work that is counted already. While more comes than can be served at all, the queue is always as long as
 * deadlines let it be; then there has to be time for a full batch as it hardly exceeds, where that saves much: else batches
 * become ever smaller, and take ever more CPU for each picture.
 */
function runOf(allowed: Asking['allowed'], ahead: number, one: Work, snapshot: Snapshot, offers: OffersOf): WallMs {
  const { threads, arrivalsPerMs, latency, tuning } = snapshot;
  const size = BATCH_SIZES.findLast((n) => n <= 1 + ahead / threads) ?? 1;
  if (size === 1) return offers(allowed).fastestHighMs;
  const { key } = choiceAt(offers(allowed), Number.POSITIVE_INFINITY).instance;
  const full = latency.run(key, MAX_BATCH);
  const overloaded = arrivalsPerMs * drainMs(snapshot, one) >= 1;
  const saves = latency.run(key, 1).cpuMs >= (tuning.batchSaving * full.cpuMs) / MAX_BATCH;
  return overloaded && saves ? full.highMs : latency.run(key, size).meanMs;
}

/** Time until a picture could start that lets all others go first, if nothing else comes. */
export const backlogMs = (snapshot: Snapshot): WallMs =>
  snapshot.margin *
  drainMs(
    snapshot,
    workOf(snapshot, offersOf(snapshot.latency), () => true),
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
