/** Runs that rivals choose among. Pure. */
import type { Instance } from '../../src/family/instance.js';
import { cheapestOf } from '../../src/plan/fallback.js';
import type { ChooseRun, Run } from '../../src/plan/next.js';
import { largestInTime } from '../../src/plan/run.js';
import { fastest, MAX_BATCH, type Snapshot, type Waiting } from '../../src/plan/snapshot.js';

/** ms that a run will hardly exceed. */
export type Predict = (instance: Instance, size: number) => number;

export const predictOf =
  ({ latency }: Pick<Snapshot, 'latency'>): Predict =>
  (instance, size) =>
    latency.run(instance.key, size).highMs;

/** When a picture has to be done; one that is best effort at any time. */
export const dueOf = ({ bestEffort, deadlineMs }: Waiting): number =>
  bestEffort ? Number.POSITIVE_INFINITY : deadlineMs;

/**
 * The largest batch of the first pictures that allow this instance, at most `most`, that keeps each of them in time;
 * undefined if none allows it, or the first of them would be late even alone.
 */
export function runInTime<W extends Waiting>(
  instance: Instance,
  pictures: readonly W[],
  most: number,
  snapshot: Pick<Snapshot, 'nowMs' | 'latency'>,
): Run<W> | undefined {
  const able = pictures.filter((w) => w.allowed.includes(instance));
  const first = able[0];
  if (!first || snapshot.nowMs + predictOf(snapshot)(instance, 1) > dueOf(first)) return undefined;
  return largestInTime(instance, able, most, snapshot);
}

/** The first picture alone on what is fastest, as the service itself does where none is in time for certain. */
export const atOnce = <W extends Waiting>(head: W, { latency }: Pick<Snapshot, 'latency'>): Run<W> => ({
  type: 'run',
  instance: fastest(head.allowed, latency),
  pictures: [head],
});

/** What is best effort, the same for all: only when nothing else is decoded, on the cheapest instance. */
export const timely =
  (chooseRun: ChooseRun): ChooseRun =>
  <W extends Waiting>(decoded: readonly W[], snapshot: Snapshot<W>, offersOf: Parameters<ChooseRun>[2]) => {
    const head = decoded[0] as W;
    const due = decoded.filter((w) => !w.bestEffort);
    if (due.length) return chooseRun(due, snapshot, offersOf);
    return runInTime(cheapestOf(head.allowed), decoded, MAX_BATCH, snapshot) ?? atOnce(head, snapshot);
  };
