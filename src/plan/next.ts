/**
 * What the scheduler does next. Pure: the same snapshot gives the same action. Derived in docs/scheduling.md.
 *
 *   1. Drop pictures that can no longer be in time.
 *   2. An engine thread is idle: run the decoded picture that is due first (the head) on its best instance at the level
 *      (level.ts), in a batch with the pictures behind it that get the same instance.
 *   3. The decoder has a place: decode the picture that is due first, unless enough decoded ones wait already.
 *   4. Otherwise wait until something happens.
 */
import type { Instance } from '../family/instance.js';
import { type OffersOf, offersOf } from './price.js';
import { runAtLevel } from './run.js';
import { couldBeDecoded, cpuUse, fullBatch, type Snapshot, type Waiting } from './snapshot.js';

export interface Run<W> {
  readonly type: 'run';
  readonly instance: Instance;
  readonly pictures: readonly W[];
}

export type Action<W> =
  /** No allowed instance can finish these pictures in time: strict ones expire, the others become best effort. */
  | { readonly type: 'drop'; readonly pictures: readonly W[] }
  | { readonly type: 'decode'; readonly picture: W }
  | Run<W>
  /** Ask the plan again at this time of the clock, or when something changes before it; Infinity: only when it does. */
  | { readonly type: 'wait'; readonly untilMs: number };

/**
 * decoded: pictures that could run, in order of rank, at least one. Returns a run, or until when to wait for a fuller
 * batch.
 */
export type ChooseRun = <W extends Waiting>(
  decoded: readonly W[],
  snapshot: Snapshot<W>,
  offersOf: OffersOf,
) => Run<W> | { readonly type: 'wait'; readonly untilMs: number };

export type Next = <W extends Waiting>(snapshot: Snapshot<W>) => Action<W>;

/** Makes a plan from a rule that chooses runs. Rival policies in bench/ replace that rule and keep the rest. */
export const planOf =
  (chooseRun: ChooseRun): Next =>
  <W extends Waiting>(snapshot: Snapshot<W>): Action<W> => {
    const offers = offersOf(snapshot);
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

/**
 * Pictures that would miss their deadline even if their next stage began now and they ran on their fastest instance.
 */
function doomed<W extends Waiting>(snapshot: Snapshot<W>, offersOf: OffersOf): W[] {
  const { waiting } = snapshot;
  return waiting.filter((w) => !w.bestEffort && lastStartMs(w, snapshot, offersOf) < snapshot.nowMs);
}

/**
 * When the next stage of a picture must begin at the latest, in the clock's ms. A picture that is alone in the service
 * is judged by the times of an idle host.
 */
function lastStartMs(
  w: Waiting,
  { waiting, running, latency }: Pick<Snapshot, 'waiting' | 'running' | 'latency'>,
  offersOf: OffersOf,
): number {
  const alone = waiting.length <= 1 && running.length === 0;
  const decodeMs = alone ? w.decode.idleMs : w.decode.meanMs;
  const runMs = alone
    ? Math.min(...w.allowed.map((i) => latency.run(i.key, 1).idleMs))
    : offersOf(w.allowed).fastestMeanMs;
  // A decode under way may end the next moment, so that it counts as done.
  return w.deadlineMs - runMs - (w.stage === 'encoded' ? decodeMs : 0);
}

/**
 * The first picture in order of rank for which the decoder has a place. undefined if there is none, if it is best
 * effort and no CPU is idle, or if enough pictures before it are decoded or being decoded: a full batch, or
 * `decodedAhead` for each engine thread. For a picture without a deadline, which cannot expire, enough is a full batch
 * for each engine thread and one more: with less, engine threads wait for decodes on busy CPUs.
 */
function nextToDecode<W extends Waiting>(snapshot: Snapshot<W>): W | undefined {
  const { waiting, threads, decodePlaces, tuning } = snapshot;
  const place = waiting.findIndex((w) => couldBeDecoded(w, decodePlaces));
  const first = waiting[place];
  if (!first || (first.bestEffort && cpuUse(snapshot).busy)) return undefined;
  let ready = 0;
  for (let n = 0; n < place; n++) if (waiting[n]?.stage !== 'encoded') ready += 1;
  const full = fullBatch(snapshot);
  const enough = Number.isFinite(first.deadlineMs)
    ? Math.max(full, threads * tuning.decodedAhead)
    : (threads + 1) * full;
  return ready < enough ? first : undefined;
}

export const next: Next = planOf(runAtLevel);
