/**
 * The action that replaces the plan's when the plan throws. It needs no latency model and always makes progress. Pure.
 */
import type { Instance } from '../family/instance.js';
import type { Action } from './next.js';
import { couldBeDecoded, type Snapshot, type Waiting } from './snapshot.js';

/** The instance with the fewest FLOPs: unlike times, FLOPs are always known. */
export const cheapestOf = (allowed: readonly Instance[]): Instance =>
  allowed.reduce((a, b) => (b.flops < a.flops ? b : a));

/**
 * The first of these that applies: drop pictures whose deadline has passed; run the first decoded picture alone on its
 * cheapest instance; decode the first picture for which the decoder has a place; wait.
 */
export function simpleNext<W extends Waiting>(snapshot: Snapshot<W>): Action<W> {
  const { nowMs, waiting, idleThreads, decodePlaces } = snapshot;
  const expired = waiting.filter((w) => !w.bestEffort && w.deadlineMs <= nowMs);
  if (expired.length) return { type: 'drop', pictures: expired };
  const decoded = idleThreads > 0 ? waiting.find((w) => w.stage === 'decoded') : undefined;
  if (decoded) return { type: 'run', instance: cheapestOf(decoded.allowed), pictures: [decoded] };
  const picture = waiting.find((w) => couldBeDecoded(w, decodePlaces));
  return picture ? { type: 'decode', picture } : { type: 'wait', untilMs: Number.POSITIVE_INFINITY };
}
