import type { Times } from '../../src/latency/model.js';
import type { RunModel } from '../../src/scheduler/dispatcher.js';
import { FAMILY, predict } from './instances.js';

/** Runs of the family take exactly what is predicted of them; what it is told of runs is kept and changes nothing. */
export function exactModel(): RunModel & { readonly told: [key: string, size: number, ms: number][] } {
  const instances = new Map(FAMILY.map((i) => [i.key, i]));
  const told: [string, number, number][] = [];
  return {
    told,
    run: (key, size): Times => {
      const instance = instances.get(key);
      const ms = instance ? predict(instance, size) : 10 * size;
      return { meanMs: ms, highMs: ms, idleMs: ms, cpuMs: ms };
    },
    ran: (...its) => told.push(its),
  };
}
