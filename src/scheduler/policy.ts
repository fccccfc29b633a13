/**
 * What an engine thread does next. Pure: the same view gives the same decision.
 *
 * Earliest deadline first (EDF); for the picture at the head, the most accurate instance and the largest batch that
 * finish in time, if those waiting behind can still be served in time afterwards by their cheapest instances. So a
 * short queue buys accuracy, and in a burst instances get cheaper by themselves (SuperServe's SlackFit, NSDI 2025,
 * with limits for each request).
 */
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import { BATCH_SIZES, MAX_BATCH } from './latency.js';

export interface Waiting {
  /** Most accurate first, never empty, all of one family. */
  readonly allowed: readonly Instance[];
  /** When the logits must be there; Infinity if there is no promise. */
  readonly deadlineMs: number;
  /** A strict picture is never run late; another one runs late rather than not at all. */
  readonly strict: boolean;
  /** Not strict, and no longer able to be in time. */
  readonly late: boolean;
  readonly arrivalMs: number;
}

export interface View {
  readonly nowMs: number;
  readonly threads: number;
  /** Free engine threads, at least 1. */
  readonly idle: number;
  /** ms of a run, a high quantile. */
  predict(instance: Instance, size: number): number;
}

export interface Decision<W> {
  /** Strict pictures that no allowed instance can finish in time: never run. */
  readonly expired: readonly W[];
  /** The same, not strict: from now on late. */
  readonly turnedLate: readonly W[];
  readonly run?: { readonly instance: Instance; readonly pictures: readonly W[]; readonly predictedMs: number };
}

/** A picture without a deadline waits about this long before it goes ahead of ones that have one. */
const PATIENCE_MS = 1000;

const LARGEST_FIRST = [...BATCH_SIZES].reverse();

/** Place in the queue, smallest first: by deadline; without one, as if it were PATIENCE_MS; late ones after all others. */
export function rank(w: Pick<Waiting, 'late' | 'deadlineMs' | 'arrivalMs'>): [number, number] {
  return [w.late ? Number.POSITIVE_INFINITY : Math.min(w.deadlineMs, w.arrivalMs + PATIENCE_MS), w.arrivalMs];
}

export function byRank(a: Waiting, b: Waiting): number {
  const [x, y] = [rank(a), rank(b)];
  return x[0] === y[0] ? x[1] - y[1] : x[0] - y[0];
}

/** The allowed instance that runs alone the fastest on this host. */
export function fastest(allowed: readonly Instance[], predict: View['predict']): Instance {
  return allowed.reduce((a, b) => (predict(b, 1) < predict(a, 1) ? b : a));
}

/** waiting: in order of `byRank`. */
export function decide<W extends Waiting>(waiting: readonly W[], view: View): Decision<W> {
  const { nowMs, predict } = view;
  const fastestOf = memoise((allowed: readonly Instance[]) => fastest(allowed, predict));
  const doomed = waiting.filter((w) => !w.late && nowMs + predict(fastestOf(w.allowed), 1) > w.deadlineMs);
  const gone = new Set(doomed);
  const alive = doomed.length ? waiting.filter((w) => !gone.has(w)) : waiting;
  const [expired, turnedLate] = [doomed.filter((w) => w.strict), doomed.filter((w) => !w.strict)];
  const head = alive[0];
  if (!head) return { expired, turnedLate };

  const slackBehind = slackAfter(alive, view, fastestOf);
  const cap = Math.min(MAX_BATCH, Math.ceil(alive.length / view.idle));
  const byAccuracy = candidates(head.allowed, alive, cap, view);
  const chosen =
    byAccuracy.find(
      (c) => c.predictedMs / view.threads <= (slackBehind[leading(c, alive)] ?? Number.POSITIVE_INFINITY),
    ) ??
    // More is waiting than can be in time: as many pictures a second as the head's limits allow.
    candidates([fastestOf(head.allowed)], alive, cap, view)[0];
  return chosen ? { expired, turnedLate, run: chosen } : { expired, turnedLate };
}

interface Candidate<W> {
  readonly instance: Instance;
  readonly pictures: readonly W[];
  readonly predictedMs: number;
}

/**
 * Runs of the first pictures that keep each of them in time, in the order of `instances`, largest batch first. The head
 * is among them, as these are instances that it allows.
 */
function candidates<W extends Waiting>(
  instances: readonly Instance[],
  alive: readonly W[],
  cap: number,
  view: View,
): Candidate<W>[] {
  return instances.flatMap((instance) => {
    const members = firstAllowing(instance, alive, cap);
    return LARGEST_FIRST.filter((size) => size <= members.length)
      .map((size) => ({
        instance,
        pictures: members.slice(0, size),
        predictedMs: view.predict(instance, size),
      }))
      .filter(({ pictures, predictedMs }) => pictures.every((w) => w.late || view.nowMs + predictedMs <= w.deadlineMs));
  });
}

/** How many of the first pictures are in the batch before one is not: those it skips have to be in time after it. */
function leading<W extends Waiting>({ pictures }: Candidate<W>, alive: readonly W[]): number {
  const skipped = pictures.findIndex((w, place) => w !== alive[place]);
  return skipped < 0 ? pictures.length : skipped;
}

/** The first pictures, at most `count`, that may run on this instance. */
function firstAllowing<W extends Waiting>(instance: Instance, alive: readonly W[], count: number): W[] {
  const members: W[] = [];
  for (const w of alive) {
    if (members.length === count) break;
    if (w.allowed.includes(instance)) members.push(w);
  }
  return members;
}

/**
 * slack[n]: how long all threads together may be held up, per thread, before one of the pictures from place n on is
 * too late, if those ahead of it (and not among the first n) each run on their fastest instance in full batches.
 */
function slackAfter<W extends Waiting>(
  alive: readonly W[],
  view: View,
  fastestOf: (a: readonly Instance[]) => Instance,
): number[] {
  const fullBatch = memoise((i: Instance) => view.predict(i, MAX_BATCH));
  const sizes = Math.min(MAX_BATCH, alive.length);
  const slack = new Array<number>(sizes + 1).fill(Number.POSITIVE_INFINITY);
  const done: number[] = []; // work of the first n pictures, ms for one thread
  let work = 0;
  alive.forEach((w, place) => {
    if (place <= sizes) done[place] = work;
    const run = fullBatch(fastestOf(w.allowed));
    work += run / MAX_BATCH;
    if (w.late || w.deadlineMs === Number.POSITIVE_INFINITY) return;
    for (let n = 0; n <= Math.min(place, sizes); n++) {
      const left =
        w.deadlineMs - view.nowMs - (work - (done[n] as number)) / view.threads - (run * (MAX_BATCH - 1)) / MAX_BATCH;
      slack[n] = Math.min(slack[n] as number, left);
    }
  });
  return slack;
}

function memoise<K, V>(f: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => getOrInsert(known, key, f);
}
