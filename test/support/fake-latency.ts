import type { Latency, PictureKind, Times } from '../../src/latency/model.js';
import { FAMILY, predict } from './instances.js';

/** Times whose mean, high, idle and CPU time are equal. */
export const times = (ms: number): Times => ({ meanMs: ms, highMs: ms, idleMs: ms, cpuMs: ms });

/** A latency model with fixed times, which does not learn; recorded times are kept for the test to read. */
export class FakeLatency implements Latency {
  readonly #runMs: (key: string, size: number) => number;
  readonly #decodeMs: (megapixels: number) => number;
  /** Key, size and ms of every run that served. */
  readonly runs: [key: string, size: number, ms: number][] = [];
  /** ms of every decode that served. */
  readonly decodes: number[] = [];

  constructor(runMs = predictKey, decodeMs: (megapixels: number) => number = () => 0.001) {
    this.#runMs = runMs;
    this.#decodeMs = decodeMs;
  }

  run(key: string, size: number): Times {
    return times(this.#runMs(key, size));
  }

  decode(_family: string, _kind: PictureKind, megapixels: number): Times {
    return times(this.#decodeMs(megapixels));
  }

  ran(key: string, size: number, ms: number): void {
    this.runs.push([key, size, ms]);
  }

  decoded(_family: string, _kind: PictureKind, _megapixels: number, ms: number): void {
    this.decodes.push(ms);
  }
}

const byKey = new Map(FAMILY.map((i) => [i.key, i]));

/** `predict` for the instance with this key; an unknown key counts as the most accurate instance. */
export function predictKey(key: string, size: number): number {
  return predict(byKey.get(key) ?? (FAMILY[0] as (typeof FAMILY)[0]), size);
}
