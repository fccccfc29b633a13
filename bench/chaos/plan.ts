/** The schedule of a chaos run: phases of load, and the times of kills and suspensions. Pure. */

import { poisson } from '../../src/load/arrivals.js';
import type { Random } from '../../src/load/random.js';

export interface Phase {
  readonly kind: 'steady' | 'burst' | 'silence';
  readonly startMs: number;
  readonly endMs: number;
}

/** A fault that the bench causes. kill: an engine thread dies. freeze: the whole service is suspended (SIGSTOP). */
export interface Blow {
  readonly kind: 'kill' | 'freeze';
  readonly atMs: number;
}

export interface Plan {
  readonly phases: readonly Phase[];
  readonly blows: readonly Blow[];
}

/** Arrival rate in each phase, as a multiple of the capacity. */
const LOADS: Readonly<Record<Phase['kind'], number>> = { steady: 0.5, burst: 3, silence: 0 };
const STEADY_MS = 40_000;
const BURST_MS = 6_000;
/** Time from a freeze in a silence to the next burst: the service is resumed in the middle of that burst. */
const LAST_OF_SILENCE_MS = 1_000;

/**
 * Repeats a cycle of phases (steady, burst, steady, silence, burst) with their faults for `durationMs`; the last cycle
 * is cut. silenceMs: length of the shortest silence.
 */
export function planOf(durationMs: number, silenceMs: number, random: Random): Plan {
  const phases: Phase[] = [];
  const blows: Blow[] = [];
  const add = (kind: Phase['kind'], lengthMs: number) => {
    const startMs = phases.at(-1)?.endMs ?? 0;
    const phase = { kind, startMs, endMs: startMs + lengthMs };
    phases.push(phase);
    return phase;
  };
  const within = ({ startMs, endMs }: Phase) => startMs + random() * (endMs - startMs);
  for (let cycle = 0; (phases.at(-1)?.endMs ?? 0) < durationMs; cycle++) {
    blows.push({ kind: 'kill', atMs: within(add('steady', STEADY_MS)) });
    blows.push({ kind: 'kill', atMs: within(add('burst', BURST_MS)) });
    blows.push({ kind: 'freeze', atMs: within(add('steady', STEADY_MS / 2)) });
    const silence = add('silence', silenceMs * (1 + random() / 4));
    if (cycle % 2) blows.push({ kind: 'freeze', atMs: silence.endMs - LAST_OF_SILENCE_MS });
    add('burst', BURST_MS);
  }
  return {
    phases: phases.filter((p) => p.startMs < durationMs).map((p) => ({ ...p, endMs: Math.min(p.endMs, durationMs) })),
    blows: blows.filter((b) => b.atMs < durationMs).toSorted((a, b) => a.atMs - b.atMs),
  };
}

/** Arrival times in ms: a Poisson process in each phase. capacityPerS: requests a second that are load 1. */
export function arrivalsOf({ phases }: Plan, capacityPerS: number, random: Random): number[] {
  return phases.flatMap(({ kind, startMs, endMs }) => {
    const perMs = (LOADS[kind] * capacityPerS) / 1000;
    return perMs === 0 ? [] : poisson(perMs, endMs - startMs, random).map((at) => startMs + at);
  });
}

/** Longest time between two arrivals, in ms. */
export function longestSilenceMs(arrivalsMs: readonly number[]): number {
  return arrivalsMs.reduce((most, at, n) => Math.max(most, at - (arrivalsMs[n - 1] ?? at)), 0);
}
