/**
 * What an engine thread does next. Pure: the same view gives the same decision.
 *
 * Earliest deadline first (EDF). For the picture at the head, the instance and batch that
 *   1. finishes in time for every picture of the batch, within the limits of each;
 *   2. leaves those behind it time for their own fastest instances;
 *   3. is worth its CPU: of the runs that are left, the largest of each instance, the one whose accuracy, less what its
 *      work is expected to cost in answers lost to others, is most for each picture (price.ts). Work is the dearer, the
 *      more waits, is being decoded and runs already, and the more, and the more unevenly, pictures come.
 * 1 and 2 keep promises. 3 is what makes accuracy fall before promises do: slack is not spent on the pictures that happen
 * to come first. SuperServe's SlackFit (NSDI 2025) has 1 for deadlines only, and slack as its only sign of load; limits
 * for each request, 2 and 3 are ours.
 *
 * Where no run is worth its CPU and decoding keeps the CPUs busy, pictures wait for a fuller batch as long as their slack
 * lets them: a batch of one takes about twice the CPU for a picture, and an engine thread that is free is no free CPU.
 *
 * - Slack below the fastest instance: a strict picture has expired and is never run; another one is late, and runs on
 *   its cheapest after all that are in time.
 * - Without a deadline a picture has one instance, and gives way to those with one for PATIENCE_MS, so it neither
 *   starves nor holds up others; the work it will be counts like all other.
 * - Mixed limits: a batch takes the first pictures that allow its instance; who is skipped is protected by 2.
 * - A flood and a trickle: the order is by deadline and knows no clients, so a trickle with the same latency waits
 *   its turn by arrival; admission refuses the flood what would come too late, and quotas bound a client.
 * - Several families share the queue and the threads; a batch has one.
 */
import type { Instance } from '../family/instance.js';
import type { Forecast } from './arrivals.js';
import {
  BATCH_SIZES,
  type Cpus,
  type Latency,
  type LimitsOf,
  limitsOf,
  MAX_BATCH,
  type Waiting,
  wallMs,
} from './picture.js';
import { bestBase, costOfLevel } from './price.js';

export interface View extends Latency, Cpus, Pick<Forecast, 'arrivalsPerMs' | 'dispersion'> {
  readonly nowMs: number;
  /** Free threads, at least 1. */
  readonly idle: number;
  /** Pictures admitted and not in the queue yet: they are being decoded. */
  readonly decoding: number;
  /** When the last of those with a deadline is due; -Infinity if there is none. */
  readonly decodingDueMs: number;
  /** When each running batch should end. */
  readonly runningUntilMs: readonly number[];
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
 * Time for so many mean runs of a full batch lies between what waits and its deadline: one under way, and its own. Not
 * more than half of it: with little time batches are small.
 */
const RUNS_AHEAD = 2;

/** Pictures wait for a fuller batch until this many times what it will hardly exceed is left. Chosen by `bench/host`. */
const WAIT_SLACK = 1.5;

const LARGEST_FIRST = [...BATCH_SIZES].reverse();

export const decide: Policy = (waiting, view) => {
  const limits = limitsOf(view);
  const { alive, expired, turnedLate } = triage(waiting, view, aloneMsOf(limits));
  const head = alive[0];
  if (!head) return { expired, turnedLate };

  const ahead = outlook(alive, view, limits);
  const cap = Math.min(MAX_BATCH, Math.ceil(alive.length / view.idle));
  const runs = candidates(head.allowed, alive, cap, view);
  const safe = runs.filter((r) => r.predictedMs / view.threads <= (ahead.slackBehind[leading(r, alive)] as number));
  const best = worthMost(safe, worthOf(head.allowed, ahead, view, limits));
  if (best && best.worth < 0 && alive.length < MAX_BATCH && view.decoding > Math.ceil(view.capacity)) {
    const firstDueMs = Math.min(...alive.filter((w) => !w.late).map((w) => w.deadlineMs));
    const waitUntilMs = firstDueMs - WAIT_SLACK * view.predict(best.run.instance, MAX_BATCH);
    if (waitUntilMs > view.nowMs) return { expired, turnedLate, waitUntilMs };
  }
  // None is safe: more is coming than can be served, so as many pictures a second as limits allow.
  const run = best?.run ?? cheapest(runs, view);
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

type Worth = (run: Run<unknown>) => number;

/**
 * Accuracy that a run gains for each of its pictures over the base at its best rate, less what its work beyond that is
 * expected to cost others. Where nothing is due it is what the first of equally good runs is worth: 0 for all.
 */
function worthOf(allowed: readonly Instance[], ahead: Outlook, view: View, limits: LimitsOf): Worth {
  if (ahead.horizonMs === 0) return () => 0;
  const { nowMs, besidesMs, decoding, runningUntilMs } = view;
  const { costMs, hull } = limits(allowed);
  const cost = (instance: Instance) => costMs.get(instance) as number;
  const reservoir = {
    fullMs: Math.max(ahead.horizonMs / 2, ahead.horizonMs - RUNS_AHEAD * ahead.batchMs),
    arrivalsPerMs: view.arrivalsPerMs,
    exposedPerMs: view.arrivalsPerMs + decoding / ahead.horizonMs,
    dispersion: view.dispersion,
  };
  const bases = hull.map((instance) => ({ instance, ms: wallMs(view, cost(instance), besidesMs) }));
  const base = bestBase(bases, reservoir);
  const costOf = costOfLevel(base, reservoir);
  const baseMs = cost(base.instance);
  let running = 0;
  for (const end of runningUntilMs) running += Math.max(0, end - nowMs);
  const network = ahead.fixedWork + ahead.flexible * baseMs + running;
  const costWith = (moreMs: number) => costOf(wallMs(view, network + moreMs, 0) + decoding * base.ms);
  const costNow = costWith(0);
  return ({ instance, pictures: { length } }) => {
    const moreMs = view.cost(instance, length) - length * baseMs;
    return instance.accuracy - base.instance.accuracy - (costWith(moreMs) - costNow) / length;
  };
}

/** The run that is worth most, the first of equal ones: of each instance the first, which is the largest batch. */
function worthMost<W>(runs: readonly Run<W>[], worth: Worth): { run: Run<W>; worth: number } | undefined {
  let best: { run: Run<W>; worth: number } | undefined;
  let seen: Instance | undefined;
  for (const run of runs) {
    if (run.instance === seen) continue;
    seen = run.instance;
    const its = worth(run);
    if (!best || its > best.worth) best = { run, worth: its };
  }
  return best;
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
  /** ms of one thread for those that have no choice. */
  readonly fixedWork: number;
  /** How many have one. */
  readonly flexible: number;
  /** ms until the last of those waiting and being decoded is due; 0 if nothing that waits is. */
  readonly horizonMs: number;
  /** ms of a mean run of a full batch on their fastest instance, the longest of them. */
  readonly batchMs: number;
}

function outlook<W extends Waiting>(alive: readonly W[], view: View, limits: LimitsOf): Outlook {
  const { nowMs, threads, decodingDueMs } = view;
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
  // Their work is on the reservoir's level, so the time that they have is part of what it holds.
  if (horizonMs > 0) horizonMs = Math.max(horizonMs, decodingDueMs - nowMs);
  return { slackBehind, fixedWork, flexible, horizonMs, batchMs };
}
