/** What is done when the plan fails: nothing clever, nothing that could fail, and always a step on. Pure. */
import type { Instance } from '../family/instance.js';
import type { Action } from './next.js';
import { couldBeDecoded, type Snapshot, type Waiting } from './snapshot.js';

/** By FLOPs, which are always known. */
export const cheapestOf = (allowed: readonly Instance[]): Instance =>
  allowed.reduce((a, b) => (b.flops < a.flops ? b : a));

/** Drops what is over, runs the first decoded picture alone on its cheapest instance, decodes the first that is not. */
export function simpleNext<W extends Waiting>(snapshot: Snapshot<W>): Action<W> {
  const { nowMs, waiting, idleThreads, decodePlaces } = snapshot;
  const over = waiting.filter((w) => !w.bestEffort && w.deadlineMs <= nowMs);
  if (over.length) return { type: 'drop', pictures: over };
  const decoded = idleThreads > 0 ? waiting.find((w) => w.stage === 'decoded') : undefined;
  if (decoded) return { type: 'run', instance: cheapestOf(decoded.allowed), pictures: [decoded] };
  const picture = waiting.find((w) => couldBeDecoded(w, decodePlaces));
  return picture ? { type: 'decode', picture } : { type: 'wait', untilMs: Number.POSITIVE_INFINITY };
}
