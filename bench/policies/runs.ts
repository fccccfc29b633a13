/** Runs that contenders choose from. Pure. */
import type { Instance } from '../../src/family/instance.js';
import { cheapestOf } from '../../src/plan/fallback.js';
import type { ChooseRun, Run } from '../../src/plan/next.js';
import { largestInTime } from '../../src/plan/run.js';
import { fastest, type Snapshot, type Waiting } from '../../src/plan/snapshot.js';
import { MAX_BATCH } from '../batch-sizes.js';

/** Predicted wall time of a run in ms, as a 0.95 quantile. */
export type Predict = (instance: Instance, size: number) => number;

export const predictOf =
  ({ latency }: Pick<Snapshot, 'latency'>): Predict =>
  (instance, size) =>
    latency.run(instance.key, size).highMs;

/** Deadline of a picture, in the clock's ms; Infinity for best effort. */
export const dueOf = ({ bestEffort, deadlineMs }: Waiting): number =>
  bestEffort ? Number.POSITIVE_INFINITY : deadlineMs;

/**
 * The largest batch, at most `most`, of the first pictures that allow this instance, such that each meets its deadline.
 * undefined if no picture allows the instance, or if the first one would be late even alone.
 */
export function runInTime<W extends Waiting>(
  instance: Instance,
  pictures: readonly W[],
  most: number,
  snapshot: Pick<Snapshot, 'nowMs' | 'latency' | 'batchSizes'>,
): Run<W> | undefined {
  const able = pictures.filter((w) => w.allowed.includes(instance));
  const first = able[0];
  if (!first || snapshot.nowMs + predictOf(snapshot)(instance, 1) > dueOf(first)) return undefined;
  return largestInTime(instance, able, most, snapshot);
}

/** The head alone on its fastest allowed instance, as in the service's plan if no run meets the head's deadline. */
export const atOnce = <W extends Waiting>(head: W, { latency }: Pick<Snapshot, 'latency'>): Run<W> => ({
  type: 'run',
  instance: fastest(head.allowed, latency),
  pictures: [head],
});

/**
 * Adds best effort, which is the same for all policies: it runs only if no other picture is decoded, on the cheapest
 * instance.
 */
export const timely =
  (chooseRun: ChooseRun): ChooseRun =>
  <W extends Waiting>(decoded: readonly W[], snapshot: Snapshot<W>, offersOf: Parameters<ChooseRun>[2]) => {
    const head = decoded[0] as W;
    const due = decoded.filter((w) => !w.bestEffort);
    if (due.length) return chooseRun(due, snapshot, offersOf);
    return runInTime(cheapestOf(head.allowed), decoded, MAX_BATCH, snapshot) ?? atOnce(head, snapshot);
  };
