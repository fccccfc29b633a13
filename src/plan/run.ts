/** Which run the service chooses. Pure; derived in docs/scheduling.md. */

import type { Instance } from '../family/instance.js';
import { levelOf } from './level.js';
import type { ChooseRun, Run } from './next.js';
import { choiceAt, type OffersOf } from './price.js';
import { BATCH_SIZES, fastest, MAX_BATCH, type Snapshot, type Waiting } from './snapshot.js';

/** The head on its best instance at the level that still finishes in time, with those behind it that get the same one. */
export const runNow = <W extends Waiting>(decoded: readonly W[], snapshot: Snapshot<W>, offersOf: OffersOf): Run<W> => {
  const { nowMs, idleThreads, latency } = snapshot;
  const head = decoded[0] as W;
  const price = head.bestEffort ? Number.POSITIVE_INFINITY : levelOf(snapshot, offersOf);
  const slackMs = head.bestEffort ? Number.POSITIVE_INFINITY : head.deadlineMs - nowMs;
  const choiceOf = (w: W) => choiceAt(offersOf(w.allowed), price).instance;
  const wanted = choiceOf(head);
  const { hull } = offersOf(head.allowed);
  const cheaper = hull.slice(hull.findIndex((o) => o.instance === wanted));
  const instance = cheaper.find((o) => o.aloneHighMs <= slackMs)?.instance ?? fastest(head.allowed, latency);
  const same = decoded.filter(
    (w) => w === head || (w.bestEffort === head.bestEffort && w.allowed.includes(instance) && choiceOf(w) === wanted),
  );
  return largestInTime(instance, same, Math.ceil(decoded.length / idleThreads), snapshot);
};

/**
 * The same; but a batch that is not full waits while decoding keeps the CPUs busy, as long as a full one would still be in
 * time. It will take less CPU for each picture, and CPUs that are busy gain nothing from one run more.
 */
export const runAtLevel: ChooseRun = (decoded, snapshot, offersOf) => {
  const run = runNow(decoded, snapshot, offersOf);
  const [head] = run.pictures;
  if (!head || run.pictures.length >= MAX_BATCH || !cpusAreBusy(snapshot)) return run;
  const dueMs = head.bestEffort ? Number.POSITIVE_INFINITY : head.deadlineMs;
  const untilMs = dueMs - snapshot.latency.run(run.instance.key, MAX_BATCH).highMs;
  return untilMs > snapshot.nowMs ? { type: 'wait', untilMs } : run;
};

/** Whether decoding and runs under way keep all CPUs busy. */
function cpusAreBusy({ waiting, running, cpus }: Snapshot): boolean {
  let decoding = 0;
  for (const { stage } of waiting) if (stage === 'decoding') decoding += 1;
  const runs = cpus.networks ? running.length * cpus.perRun : 0;
  return decoding > 0 && decoding + runs >= cpus.count;
}

/** The largest batch of the first pictures, at most `most`, that finishes in time for each; one picture at least. */
export function largestInTime<W extends Waiting>(
  instance: Instance,
  pictures: readonly W[],
  most: number,
  { nowMs, latency }: Pick<Snapshot, 'nowMs' | 'latency'>,
): Run<W> {
  let best: readonly W[] = pictures.slice(0, 1);
  let dueMs = Number.POSITIVE_INFINITY;
  let seen = 0;
  for (const size of BATCH_SIZES) {
    if (size > Math.min(most, pictures.length)) break;
    for (; seen < size; seen++) {
      const w = pictures[seen] as W;
      if (!w.bestEffort) dueMs = Math.min(dueMs, w.deadlineMs);
    }
    if (size === 1 || nowMs + latency.run(instance.key, size).highMs <= dueMs) best = pictures.slice(0, size);
  }
  return { type: 'run', instance, pictures: best };
}
