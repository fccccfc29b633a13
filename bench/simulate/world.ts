/** How long runs take in a simulation: as measured and drawn, or always the same. */
import type { Instance } from '../../src/family/instance.js';
import type { Latency, Predict } from '../../src/policy/picture.js';
import { seeded, seedFor } from './random.js';
import { instancesOf, latencyOf, type Table, yardsticks } from './table.js';

export interface World extends Latency {
  /** Most accurate first. */
  readonly instances: readonly Instance[];
  readonly threads: number;
  readonly deadlineMs: number;
  /** ms that a run really takes. ordinal: how many runs were begun before it. */
  readonly durationMs: (instance: Instance, size: number, ordinal: number) => number;
}

type Setting = Pick<World, 'threads' | 'deadlineMs'>;

/**
 * Durations drawn from the samples. The n-th run of every contender is at the same place among the samples of what it
 * runs (common random numbers), so that none is lucky.
 */
export function measuredWorld(table: Table, setting: Setting, seed: number): World {
  const random = seeded(seedFor(seed, 'durations'));
  const draws: number[] = [];
  const sorted = new Map(
    Object.entries(table.samples).flatMap(([id, sizes]) =>
      Object.entries(sizes).map(([size, ms]) => [`${id} ${size}`, ms.toSorted((a, b) => a - b)]),
    ),
  );
  const durationMs = ({ id }: Instance, size: number, ordinal: number) => {
    while (draws.length <= ordinal) draws.push(random());
    const samples = sorted.get(`${id} ${size}`) ?? [];
    return samples[Math.floor((draws[ordinal] as number) * samples.length)] as number;
  };
  return { ...setting, instances: instancesOf(table), ...latencyOf(table), durationMs };
}

/** A power of two, so that sums of ticks are exact. */
const TICK_MS = 1 / 64;

export const toTick = (ms: number): number => Math.ceil(ms / TICK_MS) * TICK_MS;

/** Every run takes what is predicted, in whole ticks: where contenders can be compared with the oracle. */
export function exactWorld(table: Table, threads: number): World & { readonly capacityPerMs: number } {
  const { predict: predicted } = latencyOf(table);
  const predict: Predict = (instance, size) => toTick(predicted(instance, size));
  const instances = instancesOf(table);
  const { capacityPerMs, deadlineMs } = yardsticks(instances, threads, predict);
  return {
    threads,
    capacityPerMs,
    deadlineMs: toTick(deadlineMs),
    instances,
    predict,
    expect: predict,
    cost: predict,
    durationMs: predict,
  };
}
