/** Whether an action of the plan makes progress: it changes something, or it waits for an event that will come. Pure. */
import type { Action } from '../plan/next.js';
import { couldBeDecoded, type Snapshot } from '../plan/snapshot.js';
import type { Picture } from './queue.js';

export function makesProgress(action: Action<Picture>, now: Snapshot<Picture>): boolean {
  const { waiting, idleThreads, decodePlaces, running } = now;
  switch (action.type) {
    case 'drop':
      return action.pictures.length > 0 && action.pictures.every((p) => !p.bestEffort);
    case 'decode':
      return action.picture.stage === 'encoded';
    case 'run':
      return idleThreads > 0 && action.pictures.length > 0 && action.pictures.every((p) => p.stage === 'decoded');
    case 'wait': {
      const underWay = running.length > 0 || waiting.some((w) => w.stage === 'decoding');
      const possible =
        (idleThreads > 0 && waiting.some((w) => w.stage === 'decoded')) ||
        waiting.some((w) => couldBeDecoded(w, decodePlaces));
      return underWay || Number.isFinite(action.untilMs) || !possible;
    }
  }
}
