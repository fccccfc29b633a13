/** How long a run takes: measured on this host, kept fresh by the runs themselves. */
import { z } from 'zod';
import { getOrInsert } from '../get-or-insert.js';
import { quantile, Recent } from './recent.js';

/** A promise rests on a prediction, so it is a high quantile and not the mean. */
const QUANTILE = 0.95;
/** With fewer fresh runs than this the measurement at start counts, so that one slow run decides nothing. */
const ENOUGH = 8;
const MOST_SAMPLES = 256;

/** Instance key -> batch size -> recent latencies in ms. */
export const latencySamplesSchema = z.record(
  z.string(),
  z.record(z.string(), z.array(z.number().positive()).max(MOST_SAMPLES)),
);
export type LatencySamples = z.infer<typeof latencySamplesSchema>;
/** Instance key -> ms of runs of one picture right after another one of the same. */
export const againSamplesSchema = z.record(z.string(), z.array(z.number().positive()).max(MOST_SAMPLES));
export type AgainSamples = z.infer<typeof againSamplesSchema>;

interface Facts {
  readonly highMs: number;
  readonly meanMs: number;
}

/** sorted: smallest first, at least one. */
const factsOf = (sorted: readonly number[]): Facts => ({
  highMs: quantile(sorted, QUANTILE) as number,
  meanMs: sorted.reduce((a, b) => a + b, 0) / sorted.length,
});

/** The facts of recent values. */
class RecentFacts {
  readonly #recent: Recent;
  /** What is known of them, as long as `fresh` stays the same array, which it does while nothing changes. */
  #known: { fresh: readonly number[]; facts: Facts } | undefined;

  constructor(now: () => number) {
    this.#recent = new Recent(now);
  }

  add(value: number): void {
    this.#recent.add(value);
  }

  get fresh(): readonly number[] {
    return this.#recent.fresh;
  }

  /** undefined while there are too few. */
  get facts(): Facts | undefined {
    const { fresh } = this.#recent;
    if (fresh.length < ENOUGH) return undefined;
    if (this.#known?.fresh !== fresh) this.#known = { fresh, facts: factsOf(fresh) };
    return this.#known.facts;
  }
}

/** Microseconds are enough, but nothing takes no time. */
const kept = (ms: number): number => Number(ms.toFixed(3)) || 0.001;

/** One instance at one batch size. */
class Cell {
  /** ms measured at start, smallest first. */
  readonly measured: number[] = [];
  /** ms of runs that served. */
  readonly recent: RecentFacts;

  constructor(now: () => number) {
    this.recent = new RecentFacts(now);
  }

  /** Of the measurement. */
  get usualMs(): number | undefined {
    return quantile(this.measured, 0.5);
  }
}

/** From handing a batch to an engine thread to having its logits, in ms, by instance key and batch size. */
export class LatencyTable {
  readonly #now: () => number;
  readonly #rows = new Map<string, Map<number, Cell>>();
  /** By instance key, ms measured at start, smallest first. */
  readonly #again = new Map<string, number[]>();
  /** Recent runs of whichever instance, by batch size, as multiples of what was usual at start. */
  readonly #slowdowns = new Map<number, RecentFacts>();
  /** The same of all sizes. */
  readonly #anySlowdown: RecentFacts;

  /** now: ms of a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now;
    this.#anySlowdown = new RecentFacts(now);
  }

  static from(samples: LatencySamples, now: () => number, again: AgainSamples = {}): LatencyTable {
    const table = new LatencyTable(now);
    for (const [key, sizes] of Object.entries(samples)) {
      for (const [size, values] of Object.entries(sizes))
        for (const ms of values) table.measured(key, Number(size), ms);
    }
    for (const [key, values] of Object.entries(again)) for (const ms of values) table.measuredAgain(key, ms);
    return table;
  }

  /** A run before anything was served. */
  measured(key: string, size: number, ms: number): void {
    const { measured } = this.#cell(key, size);
    measured.push(ms);
    measured.sort((a, b) => a - b);
  }

  /** A run of one picture before anything was served, right after another one of the same. */
  measuredAgain(key: string, ms: number): void {
    const again = getOrInsert(this.#again, key, () => []);
    again.push(ms);
    again.sort((a, b) => a - b);
  }

  /** A run that served a picture: it counts as long as it is recent. */
  record(key: string, size: number, ms: number): void {
    const cell = this.#cell(key, size);
    cell.recent.add(ms);
    const { usualMs } = cell;
    if (usualMs === undefined) return;
    getOrInsert(this.#slowdowns, size, () => new RecentFacts(this.#now)).add(ms / usualMs);
    this.#anySlowdown.add(ms / usualMs);
  }

  /** undefined if there is nothing to go by. */
  #facts(cell: Cell, size: number): Facts | undefined {
    const { usualMs, recent, measured } = cell;
    if (recent.facts) return recent.facts;
    if (usualMs === undefined) return recent.fresh.length ? factsOf(recent.fresh) : undefined;
    // CPUs that are busy with other things are so for every instance: one that did not run of late must not look as fast
    // as it was. How much slower, and how surely, others show: runs of the same length best.
    const { highMs, meanMs } = this.#slowdowns.get(size)?.facts ?? this.#anySlowdown.facts ?? { highMs: 1, meanMs: 1 };
    const start = factsOf(measured);
    return {
      highMs: Math.max(start.highMs, usualMs * highMs),
      meanMs: Math.max(start.meanMs, usualMs * meanMs),
    };
  }

  /**
   * ms that a run will hardly exceed: a high quantile. A size that was not measured lies on the line through its measured
   * neighbours (a + b n), or through the origin and the nearest one. Raises Error for an instance that was never measured.
   */
  predict(key: string, size: number): number {
    return this.#interpolate(key, size, 'highMs');
  }

  /** ms of a run of one picture on this host when idle: as measured at start, whatever the load is now. */
  idle(key: string): number {
    return quantile(this.#rows.get(key)?.get(1)?.measured ?? [], QUANTILE) ?? this.predict(key, 1);
  }

  /** ms of CPU of a run: what was usual at start, when nothing else ran. Otherwise as `predict`. */
  cost(key: string, size: number): number {
    return this.#rows.get(key)?.get(size)?.usualMs ?? this.expect(key, size);
  }

  /** ms that a run takes less right after one of the same instance, as measured at start; 0 if it was not. */
  againMs(key: string): number {
    const againMs = quantile(this.#again.get(key) ?? [], 0.5);
    return againMs === undefined ? 0 : Math.max(0, this.cost(key, 1) - againMs);
  }

  /** ms that a run takes on average: what many of them add up to. Otherwise as `predict`. */
  expect(key: string, size: number): number {
    return this.#interpolate(key, size, 'meanMs');
  }

  #interpolate(key: string, size: number, fact: keyof Facts): number {
    const row = this.#rows.get(key);
    const cell = row?.get(size);
    const exact = cell && this.#facts(cell, size);
    if (exact !== undefined) return exact[fact];
    const points = [...(row ?? [])]
      .map(([n, cell]) => [n, (this.#facts(cell, n) as Facts)[fact]] as const)
      .sort((a, b) => a[0] - b[0]);
    const below = points.filter(([n]) => n < size).at(-1);
    const above = points.find(([n]) => n > size);
    if (below && above) return below[1] + ((above[1] - below[1]) * (size - below[0])) / (above[0] - below[0]);
    const near = below ?? above;
    if (!near) throw new Error(`no latency was measured for ${key}`);
    return below ? (near[1] * size) / near[0] : near[1];
  }

  /** Whether this instance was measured at this size. */
  has(key: string, size: number): boolean {
    return this.#rows.get(key)?.get(size) !== undefined;
  }

  /** What was measured at start, to be kept. */
  samples(): LatencySamples {
    return Object.fromEntries(
      [...this.#rows].map(([key, row]) => [
        key,
        Object.fromEntries([...row].map(([size, cell]) => [String(size), cell.measured.map(kept)])),
      ]),
    );
  }

  againSamples(): AgainSamples {
    return Object.fromEntries([...this.#again].map(([key, values]) => [key, values.map(kept)]));
  }

  #cell(key: string, size: number): Cell {
    const row = getOrInsert(this.#rows, key, () => new Map());
    return getOrInsert(row, size, () => new Cell(this.#now));
  }
}
