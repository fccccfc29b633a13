/**
 * The best that anyone could do who knew all arrivals: the highest utility of a trace, for comparison with policies that
 * know nothing ahead. For strict pictures that all allow every instance and have the same time to their deadline, and
 * runs that take exactly what is predicted.
 *
 * Dynamic programming over pictures in order of arrival (and so of deadline). A label is what matters of a schedule for
 * the first j pictures: when each thread is free, and the accuracy gathered. From it, picture j is dropped, or the next
 * k pictures run as a batch, at once when a thread is free and the last of them has arrived. A label that is free no
 * earlier on both threads and has gathered no more than another is left out; times before the next arrival are all the
 * same.
 *
 * Why batches of neighbours suffice on one thread:
 * - A picture that is dropped between members of a batch may change places with the first member: it arrived before the
 *   last one, and its deadline is later than the first one's. So what is dropped lies before the batch.
 * - Of two batches, the one that starts first also ends first. Give it the earliest of the pictures of both. Its last
 *   member then arrives no later than before; its first member may come from the other batch, which ends later, so that
 *   deadline holds as well. The other batch gets later pictures: its last member is the last of all, which was in one
 *   of the two and so had arrived; its first member's deadline is no earlier than before.
 * On two threads this holds as long as no run begins after and ends before another. Where one does, the long one may
 * want pictures from between those of the short one, so that what is found is a schedule, and the optimum could be
 * higher; the tests compare with all schedules of short traces. Labels of two threads are also many: 50,000 after 50
 * pictures and a minute, where 200 pictures on one thread take a second. So comparisons are made on one.
 */
import type { Instance } from '../../src/family/instance.js';
import { BATCH_SIZES } from '../../src/policy/picture.js';
import type { World } from './world.js';

interface Label {
  /** Of the thread that is free first. */
  readonly freeMs: number;
  /** Of the other; Infinity if there is none. */
  readonly otherMs: number;
  /** Sum of the accuracy of the instances behind what was answered. */
  readonly correct: number;
  readonly first?: Batch;
}

/** A batch of a schedule. */
export interface Batch {
  readonly instance: Instance;
  readonly size: number;
  /** Which of the pictures is its first: those before it are dropped, if it is the first batch. */
  readonly place: number;
  readonly startMs: number;
}

interface Choice {
  readonly instance: Instance;
  readonly size: number;
  readonly ms: number;
  readonly correct: number;
}

export interface Optimum {
  /** Of the best schedule found. */
  readonly utility: number;
  /** No schedule of neighbours has a utility above this; the same as `utility` unless labels were thinned. */
  readonly bound: number;
  /** Labels at the picture that had most. */
  readonly mostLabels: number;
  /** What the best schedule begins with, unless it answers nothing. */
  readonly first?: Batch | undefined;
}

interface Options {
  /** When the threads are free. */
  readonly fromMs?: number;
  /**
   * A label is also left out if it has gathered no more than this beyond one that is free as early; each picture's step
   * then loses at most so much, which the bound adds up.
   */
  readonly thinning?: number;
}

/** arrivalsMs: in order. World: one or two threads. */
export function optimum(
  arrivalsMs: readonly number[],
  world: World,
  { fromMs = 0, thinning = 0 }: Options = {},
): Optimum {
  if (world.threads > 2) throw new Error('the oracle knows one or two threads');
  const pictures = arrivalsMs.length;
  const choices = choicesOf(world);
  const otherMs = world.threads === 2 ? fromMs : Number.POSITIVE_INFINITY;
  const reached: Label[][] = Array.from({ length: pictures + 1 }, () => []);
  reached[0] = [{ freeMs: fromMs, otherMs, correct: 0 }];
  let mostLabels = 0;
  for (let next = 0; next < pictures; next++) {
    const labels = undominated(atArrival(reached[next] as Label[], arrivalsMs[next] as number), thinning);
    reached[next] = []; // no longer needed
    mostLabels = Math.max(mostLabels, labels.length);
    const dropped = reached[next + 1] as Label[];
    for (const label of labels) dropped.push(label);
    for (const choice of choices) {
      const arrivalMs = arrivalsMs[next + choice.size - 1];
      if (arrivalMs === undefined) continue;
      const untilMs = (arrivalsMs[next] as number) + world.deadlineMs;
      const into = reached[next + choice.size] as Label[];
      for (const label of labels) extend(label, choice, next, arrivalMs, untilMs, into);
    }
  }
  const { correct, first } = (reached[pictures] as Label[]).reduce((a, b) => (b.correct > a.correct ? b : a));
  return { utility: correct / pictures, bound: (correct + thinning * pictures) / pictures, mostLabels, first };
}

/** What a batch may be: at each size, the instances that no other beats in both time and accuracy. */
function choicesOf({ instances, predict }: World): Choice[] {
  const beats = (a: Instance, b: Instance, size: number) => {
    const [msA, msB] = [predict(a, size), predict(b, size)];
    return msA <= msB && a.accuracy >= b.accuracy && (msA < msB || a.accuracy > b.accuracy);
  };
  return BATCH_SIZES.flatMap((size) =>
    instances
      .filter((b) => !instances.some((a) => beats(a, b, size)))
      .map((instance) => ({ instance, size, ms: predict(instance, size), correct: size * instance.accuracy })),
  );
}

/** Adds what follows if a batch runs on one thread or on the other, as far as it ends in time. */
function extend(label: Label, choice: Choice, place: number, arrivalMs: number, untilMs: number, into: Label[]): void {
  const { freeMs, otherMs } = label;
  const correct = label.correct + choice.correct;
  const startMs = Math.max(freeMs, arrivalMs);
  const endMs = startMs + choice.ms;
  if (endMs > untilMs) return; // the other thread is free even later
  const first = label.first ?? { instance: choice.instance, size: choice.size, place, startMs };
  into.push({ freeMs: Math.min(endMs, otherMs), otherMs: Math.max(endMs, otherMs), correct, first });
  const otherStartMs = Math.max(otherMs, arrivalMs);
  const otherEndMs = otherStartMs + choice.ms;
  if (otherEndMs > untilMs || otherMs <= freeMs) return;
  into.push({ freeMs, otherMs: otherEndMs, correct, first: label.first ?? { ...first, startMs: otherStartMs } });
}

/** No later batch starts before this arrival, so threads that are free earlier are free then. */
const atArrival = (labels: readonly Label[], arrivalMs: number): Label[] =>
  labels.map((l) => ({
    ...l,
    freeMs: Math.max(l.freeMs, arrivalMs),
    otherMs: Math.max(l.otherMs, arrivalMs),
  }));

/**
 * Those that no other makes pointless. In order of freeMs, so that a label can be dominated by earlier ones only; among
 * these, the most gathered by any with `otherMs` up to its own is a prefix maximum, kept in a Fenwick tree (1994).
 */
function undominated(labels: readonly Label[], thinning: number): Label[] {
  const sorted = labels.toSorted((a, b) => a.freeMs - b.freeMs || a.otherMs - b.otherMs || b.correct - a.correct);
  const places = new Map([...new Set(sorted.map((l) => l.otherMs))].sort((a, b) => a - b).map((ms, n) => [ms, n + 1]));
  const most = new Float64Array(places.size + 1).fill(-1);
  return sorted.filter((label) => {
    const place = places.get(label.otherMs) as number;
    if (label.correct <= prefixMost(most, place) + thinning + ROUNDING) return false;
    for (let n = place; n < most.length; n += n & -n) most[n] = Math.max(most[n] as number, label.correct);
    return true;
  });
}

/** Sums of the same accuracies in another order may differ by this much. */
const ROUNDING = 1e-9;

function prefixMost(most: Float64Array, place: number): number {
  let highest = -1;
  for (let n = place; n > 0; n -= n & -n) highest = Math.max(highest, most[n] as number);
  return highest;
}
