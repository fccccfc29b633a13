/**
 * What an engine thread does next. Pure: the same view gives the same decision.
 *
 * Earliest deadline first (EDF). For the picture at the head, the most accurate instance, in the largest batch, that
 *   1. finishes in time for every picture of the batch, within the limits of each;
 *   2. leaves those behind it time for their own fastest instances;
 *   3. keeps pace: at its rate, what waits, what is being decoded and what is expected to arrive can be served before
 *      the last of those waiting is due, beside all else that these pictures take of the CPUs. Expected is the rate of
 *      late, one standard deviation by how uneven arrivals are, and the rest of a clump: clumps cost accuracy before
 *      they cost answers.
 * 1 and 2 keep promises. 3 is what makes accuracy fall smoothly: slack is not spent on the pictures that happen to come
 * first, so in a burst, within each request's limits, all get a somewhat cheaper instance instead of some the most
 * accurate and the rest the cheapest. SuperServe's SlackFit (NSDI 2025) has 1 for deadlines only, and slack as its only
 * sign of load; limits for each request, 2 and 3 are ours.
 *
 * - Slack below the fastest instance: a strict picture has expired and is never run; another one is late, and runs on
 *   its cheapest after all that are in time.
 * - Without a deadline a picture has one instance, and gives way to those with one for PATIENCE_MS, so it neither
 *   starves nor holds up others; the work it will be is kept free of the pace.
 * - Mixed limits: a batch takes the first pictures that allow its instance; who is skipped is protected by 2.
 * - A flood and a trickle: the order is by deadline and knows no clients, so a trickle with the same latency waits
 *   its turn by arrival; admission refuses the flood what would come too late, and quotas bound a client.
 * - Several families share the queue and the threads; a batch has one.
 */
import type { Instance } from '../family/instance.js';
import type { Forecast } from './arrivals.js';
import { BATCH_SIZES, type Latency, type LimitsOf, limitsOf, MAX_BATCH, type Waiting } from './picture.js';

export interface View extends Latency, Forecast {
  readonly nowMs: number;
  /** Engine threads alive, at least 1. */
  readonly threads: number;
  /** Free ones, at least 1. */
  readonly idle: number;
  /** How many threads' worth of CPU this service has, for networks and all else that it does. */
  readonly capacity: number;
  /** ms of a thread that a picture takes of it besides its network: read, decoded, answered. */
  readonly besidesMs: number;
  /** Pictures admitted and not in the queue yet: they are being decoded. */
  readonly decoding: number;
}

export interface Run<W> {
  readonly instance: Instance;
  readonly pictures: readonly W[];
  readonly predictedMs: number;
}

export interface Decision<W> {
  /** Strict pictures that no allowed instance can finish in time: never run. */
  readonly expired: readonly W[];
  /** The same, not strict: from now on late. */
  readonly turnedLate: readonly W[];
  readonly run?: Run<W>;
  /** Without a run: look again then, even if nothing happens before. */
  readonly waitUntilMs?: number;
}

/** waiting: in order of `byRank`. */
export type Policy = <W extends Waiting>(waiting: readonly W[], view: View) => Decision<W>;

const aloneMsOf = (limits: LimitsOf) => (allowed: readonly Instance[]) => limits(allowed).aloneMs;

/**
 * Share of the time until the last of those waiting is due that pictures may spend in the queue: the pace lets the queue
 * grow up to it and drains what is more. The rest is kept for bursts. With 1 the queue would run along the edge of its
 * deadlines; with 0 it would be drained at once, and batches would be small. Chosen by `bench/simulate`.
 */
const QUEUE_SHARE = 0.6;

/** The pace is kept if no more come than expected, so many standard deviations, and a clump. Chosen by `bench/host`. */
const DEVIATIONS = 1;

const LARGEST_FIRST = [...BATCH_SIZES].reverse();

export const decide: Policy = (waiting, view) => {
  const limits = limitsOf(view);
  const { alive, expired, turnedLate } = triage(waiting, view, aloneMsOf(limits));
  const head = alive[0];
  if (!head) return { expired, turnedLate };

  const { slackBehind, paceMs } = outlook(alive, view, limits);
  const cap = Math.min(MAX_BATCH, Math.ceil(alive.length / view.idle));
  const { costMs, hull } = limits(head.allowed);
  const keepsPace = ({ instance }: Run<unknown>) =>
    head.allowed.length === 1 || (costMs.get(instance) as number) <= paceMs;
  const runs = candidates(head.allowed, alive, cap, view);
  const safe = runs.filter((r) => r.predictedMs / view.threads <= (slackBehind[leading(r, alive)] as number));
  const best = safe[0];
  const run =
    best && keepsPace(best)
      ? best
      : // CPU is short: what it buys decides.
        (safe.find((r) => hull.includes(r.instance) && keepsPace(r)) ??
        // More is coming than can be served: as many pictures a second as limits allow.
        cheapest(runs, view));
  return run ? { expired, turnedLate, run } : { expired, turnedLate };
};

/** Parts those that can no longer be in time from the others. aloneMs: what a picture with these limits takes at least. */
export function triage<W extends Waiting>(
  waiting: readonly W[],
  { nowMs, ...latency }: Latency & Pick<View, 'nowMs'>,
  aloneMs: (allowed: readonly Instance[]) => number = aloneMsOf(limitsOf(latency)),
): { alive: readonly W[]; expired: W[]; turnedLate: W[] } {
  const doomed = waiting.filter((w) => !w.late && nowMs + aloneMs(w.allowed) > w.deadlineMs);
  if (doomed.length === 0) return { alive: waiting, expired: [], turnedLate: [] };
  const gone = new Set(doomed);
  return {
    alive: waiting.filter((w) => !gone.has(w)),
    expired: doomed.filter((w) => w.strict),
    turnedLate: doomed.filter((w) => !w.strict),
  };
}

/**
 * Runs of the first pictures that keep each of them in time, in the order of `instances`, largest batch first. The head
 * is among them, as these are instances that it allows.
 */
export function candidates<W extends Waiting>(
  instances: readonly Instance[],
  alive: readonly W[],
  cap: number,
  { nowMs, predict }: Pick<View, 'nowMs' | 'predict'>,
): Run<W>[] {
  return instances.flatMap((instance) => {
    const members = firstAllowing(instance, alive, cap);
    return LARGEST_FIRST.filter((size) => size <= members.length)
      .map((size) => ({ instance, pictures: members.slice(0, size), predictedMs: predict(instance, size) }))
      .filter(({ pictures, predictedMs }) => pictures.every((w) => w.late || nowMs + predictedMs <= w.deadlineMs));
  });
}

/** The run that takes least CPU for a picture: what a run takes lately says as much of the load as of the instance. */
function cheapest<W>(runs: readonly Run<W>[], { cost }: View): Run<W> | undefined {
  const msOf = (r: Run<W>) => cost(r.instance, r.pictures.length) / r.pictures.length;
  return runs.reduce<Run<W> | undefined>((a, b) => (a && msOf(a) <= msOf(b) ? a : b), undefined);
}

/** How many of the first pictures are in the batch before one is not: those it skips have to be in time after it. */
function leading<W extends Waiting>({ pictures }: Run<W>, alive: readonly W[]): number {
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

interface Outlook {
  /**
   * By n: how long all threads together may be held up, per thread, before one of the pictures from place n on is too
   * late, if those ahead of it (and not among the first n) each run on their fastest instance in full batches.
   */
  readonly slackBehind: readonly number[];
  /** ms of one thread that each picture which leaves a choice may take, those being decoded and expected included. */
  readonly paceMs: number;
}

function outlook<W extends Waiting>(
  alive: readonly W[],
  { nowMs, threads, capacity, besidesMs, decoding, arrivalsPerMs, dispersion }: View,
  limits: LimitsOf,
): Outlook {
  const sizes = Math.min(MAX_BATCH, alive.length);
  const done: number[] = []; // work of the first n pictures, ms of one thread
  const spare: number[] = []; // by place, the last for all from there on: slack less all the work up to it
  let [work, fixedWork, flexible, horizonMs, batchMs] = [0, 0, 0, 0, 0];
  // No closure: it would keep these sums on the heap, anew at each step, and their garbage is a decision's slowest 1 %.
  for (let index = 0; index < alive.length; index++) {
    const w = alive[index] as W;
    const place = Math.min(index, sizes);
    if (place === index) done[place] = work;
    const { rateMs, batch } = limits(w.allowed);
    work += rateMs;
    if (w.allowed.length === 1) fixedWork += rateMs;
    else flexible += 1;
    if (w.late || w.deadlineMs === Number.POSITIVE_INFINITY) continue;
    const slack = w.deadlineMs - nowMs;
    horizonMs = Math.max(horizonMs, slack);
    batchMs = Math.max(batchMs, batch.meanMs);
    spare[place] = Math.min(
      spare[place] ?? Number.POSITIVE_INFINITY,
      slack - work / threads - rateMs * (MAX_BATCH - 1),
    );
  }
  const slackBehind: number[] = [];
  let left = Number.POSITIVE_INFINITY;
  for (let n = sizes; n >= 0; n--) {
    left = Math.min(left, spare[n] ?? Number.POSITIVE_INFINITY);
    slackBehind[n] = left + (done[n] ?? work) / threads;
  }
  if (horizonMs === 0) return { slackBehind, paceMs: Number.POSITIVE_INFINITY }; // nothing is due
  const besides = besidesMs * (decoding + arrivalsPerMs * horizonMs);
  const freeMs = Math.max(0, Math.min(threads * horizonMs, capacity * horizonMs - besides) - fixedWork);
  const queueMs = QUEUE_SHARE * Math.max(0, horizonMs - 2 * batchMs);
  const expected = arrivalsPerMs * (horizonMs - queueMs);
  // Of clumps of geometric size, m on average, the dispersion is 2 m - 1, and m - 1 are still to come of one under way.
  const clump = Math.max(0, dispersion - 1); // so it is counted as twice that
  const coming = expected + DEVIATIONS * Math.sqrt(dispersion * expected) + clump;
  return { slackBehind, paceMs: freeMs / (flexible + decoding + coming) };
}
