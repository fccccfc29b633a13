/** Chooses the next run: one instance and a batch of decoded pictures. Pure; derived in docs/scheduling.md. */

import type { Instance } from '../family/instance.js';
import { levelOf } from './level.js';
import type { ChooseRun, Run } from './next.js';
import { choiceAt, type OffersOf } from './price.js';
import { cpuUse, fastest, fullBatch, type Snapshot, type Waiting } from './snapshot.js';

/**
 * The run to start now. The head (the decoded picture that is due first) gets its instance at the level, or the next
 * cheaper one that finishes in time. Pictures behind it that get the same instance at the level join its batch, as many
 * as are in time.
 */
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
 * The service's rule: `runNow`, except while pictures are being decoded and all CPUs are busy, when one more run would
 * not raise throughput. Then a best effort head waits, and a batch that is not full waits for more pictures, as long as
 * a full batch would still be in time: a full batch takes less CPU for each picture. Networks that run on a device of
 * their own never wait: the device would only be idle.
 */
export const runAtLevel: ChooseRun = (decoded, snapshot, offersOf) => {
  const run = runNow(decoded, snapshot, offersOf);
  const head = run.pictures[0] as Waiting;
  const { decoding, busy } = cpuUse(snapshot);
  if (!snapshot.cpus.networks || decoding === 0 || !busy) return run;
  if (head.bestEffort) return { type: 'wait', untilMs: Number.POSITIVE_INFINITY };
  const full = fullBatch(snapshot);
  const untilMs = head.deadlineMs - snapshot.latency.run(run.instance.key, full).highMs;
  return run.pictures.length < full && untilMs > snapshot.nowMs ? { type: 'wait', untilMs } : run;
};

/** A run of the first pictures: the largest batch size up to `most` that finishes before all their deadlines, or 1. */
export function largestInTime<W extends Waiting>(
  instance: Instance,
  pictures: readonly W[],
  most: number,
  { nowMs, latency, batchSizes }: Pick<Snapshot, 'nowMs' | 'latency' | 'batchSizes'>,
): Run<W> {
  let best: readonly W[] = pictures.slice(0, 1);
  let dueMs = Number.POSITIVE_INFINITY;
  let seen = 0;
  for (const size of batchSizes) {
    if (size > Math.min(most, pictures.length)) break;
    for (; seen < size; seen++) {
      const w = pictures[seen] as W;
      if (!w.bestEffort) dueMs = Math.min(dueMs, w.deadlineMs);
    }
    if (size === 1 || nowMs + latency.run(instance.key, size).highMs <= dueMs) best = pictures.slice(0, size);
  }
  return { type: 'run', instance, pictures: best };
}
