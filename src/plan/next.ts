/**
 * What the scheduler does next. Pure: the same snapshot gives the same action. Derived in docs/scheduling.md.
 *
 *   1. Drop pictures that can no longer be in time.
 *   2. A thread is idle: run the decoded picture that is due first, on its best instance at the level (level.ts), with
 *      those behind it that get the same instance.
 *   3. The decoder is idle: decode the picture that is due first, unless enough decoded ones wait.
 *   4. Otherwise wait until something happens.
 */
import type { Instance } from '../family/instance.js';
import { levelOf } from './level.js';
import { choiceAt, type OffersOf, offersOf } from './price.js';
import { BATCH_SIZES, fastest, MAX_BATCH, type Snapshot, type Waiting } from './snapshot.js';

export interface Run<W> {
  readonly type: 'run';
  readonly instance: Instance;
  readonly pictures: readonly W[];
}

export type Action<W> =
  /** No allowed instance can finish them in time: strict ones expire, the others are best effort from now on. */
  | { readonly type: 'drop'; readonly pictures: readonly W[] }
  | { readonly type: 'decode'; readonly picture: W }
  | Run<W>
  /** Look again then even if nothing happens before; Infinity: something will. */
  | { readonly type: 'wait'; readonly untilMs: number };

/** The pictures that could run, in order of rank, at least one -> the run, or until when to wait for a fuller batch. */
export type ChooseRun = <W extends Waiting>(
  decoded: readonly W[],
  snapshot: Snapshot<W>,
  offersOf: OffersOf,
) => Run<W> | { readonly type: 'wait'; readonly untilMs: number };

export type Next = <W extends Waiting>(snapshot: Snapshot<W>) => Action<W>;

/** A plan that differs in the run it chooses only: rivals in bench/ choose another one. */
export const planOf =
  (chooseRun: ChooseRun): Next =>
  <W extends Waiting>(snapshot: Snapshot<W>): Action<W> => {
    const offers = offersOf(snapshot.latency);
    const pictures = doomed(snapshot, offers);
    if (pictures.length) return { type: 'drop', pictures };
    let untilMs = Number.POSITIVE_INFINITY;
    const decoded = snapshot.idleThreads > 0 ? snapshot.waiting.filter((w) => w.stage === 'decoded') : [];
    if (decoded.length) {
      const chosen = chooseRun(decoded, snapshot, offers);
      if (chosen.type === 'run') return chosen;
      untilMs = chosen.untilMs;
    }
    const picture = nextToDecode(snapshot);
    return picture ? { type: 'decode', picture } : { type: 'wait', untilMs };
  };

/** Pictures that no allowed instance would finish in time even if it started now. */
function doomed<W extends Waiting>(snapshot: Snapshot<W>, offersOf: OffersOf): W[] {
  const { waiting } = snapshot;
  return waiting.filter((w) => !w.bestEffort && lastStartMs(w, snapshot, offersOf) < snapshot.nowMs);
}

/** When its next stage must begin at the latest. A picture that is alone on this host is given the time of an idle one. */
export function lastStartMs(
  w: Waiting,
  { waiting, running, latency }: Pick<Snapshot, 'waiting' | 'running' | 'latency'>,
  offersOf: OffersOf,
): number {
  const alone = waiting.length <= 1 && running.length === 0;
  const decodeMs = alone ? w.decode.idleMs : w.decode.meanMs;
  const runMs = alone
    ? Math.min(...w.allowed.map((i) => latency.run(i.key, 1).idleMs))
    : offersOf(w.allowed).fastestMeanMs;
  // What is being decoded may be done the next moment.
  return w.deadlineMs - runMs - (w.stage === 'encoded' ? decodeMs : 0);
}

/** The first that the decoder would begin at once, unless enough are decoded already: one full batch at least. */
function nextToDecode<W extends Waiting>({ waiting, threads, decodePlaces, tuning }: Snapshot<W>): W | undefined {
  const { short, long } = decodePlaces;
  if (short + long === 0) return undefined;
  let ready = 0;
  let first: W | undefined;
  for (const w of waiting) {
    if (w.stage !== 'encoded') ready += 1;
    else first ??= (w.long ? long : short) > 0 ? w : undefined;
  }
  return ready < Math.max(MAX_BATCH, threads * tuning.decodedAhead) ? first : undefined;
}

/** The head on its best instance at the level that still finishes in time, with those behind it that get the same one. */
export const runAtLevel: ChooseRun = <W extends Waiting>(
  decoded: readonly W[],
  snapshot: Snapshot<W>,
  offersOf: OffersOf,
) => {
  const { nowMs, idleThreads, latency } = snapshot;
  const price = levelOf(snapshot, offersOf);
  const head = decoded[0] as W;
  const offers = offersOf(head.allowed);
  const slackMs = head.bestEffort ? Number.POSITIVE_INFINITY : head.deadlineMs - nowMs;
  const wanted = choiceAt(offers, head.bestEffort ? Number.POSITIVE_INFINITY : price);
  const inTime = offers.hull.slice(offers.hull.indexOf(wanted)).find((o) => o.aloneHighMs <= slackMs);
  const instance = inTime?.instance ?? fastest(head.allowed, latency);
  const same = decoded.filter(
    (w) =>
      w === head || (w.bestEffort === head.bestEffort && w.allowed.includes(instance) && choice(w) === wanted.instance),
  );
  function choice(w: W): Instance {
    return w.allowed === head.allowed ? wanted.instance : choiceAt(offersOf(w.allowed), price).instance;
  }
  const run = largestInTime(instance, same, Math.ceil(decoded.length / idleThreads), snapshot);
  if (run.pictures.length < MAX_BATCH && cpusAreBusy(snapshot)) {
    // A fuller batch takes less CPU for each picture, and CPUs that are busy gain nothing from a run more.
    const dueMs = same.reduce((due, w) => (w.bestEffort ? due : Math.min(due, w.deadlineMs)), Number.POSITIVE_INFINITY);
    const untilMs = dueMs - latency.run(instance.key, MAX_BATCH).highMs;
    if (untilMs > nowMs) return { type: 'wait', untilMs };
  }
  return run;
};

/** Whether decoding and runs under way keep all CPUs busy. */
function cpusAreBusy({ waiting, running, cpus }: Snapshot): boolean {
  const decoding = waiting.reduce((n, w) => (w.stage === 'decoding' ? n + 1 : n), 0);
  return decoding > 0 && decoding + running.length * cpus.perRun >= cpus.count;
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

export const next: Next = planOf(runAtLevel);
