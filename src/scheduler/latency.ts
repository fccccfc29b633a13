/** How long a run takes: measured on this host, kept fresh by the runs themselves. */
import { z } from 'zod';
import { getOrInsert } from '../get-or-insert.js';
import { quantile, Recent } from './recent.js';

/** A promise rests on a prediction, so it is a high quantile and not the mean. */
const QUANTILE = 0.95;
/** With fewer fresh runs than this the measurement at start counts. */
const ENOUGH = 8;
/** Of fewer values this quantile is the largest, so one slow run would decide everything. */
export const ENOUGH_FOR_QUANTILE = Math.ceil(1 / (1 - QUANTILE));
/** Values of one cell that are kept between starts: each engine thread brings some, and quantiles need no more. */
const MOST_SAMPLES = 256;
/** Nothing takes no time, though a clock may say so: the finest step that is kept. */
const LEAST_MS = 0.001;
/** The longest latency that a budget can name: what is longer is as good as never. */
const MOST_MS = 3_600_000;
/** ms for a picture while nothing was ever measured, of no instance: a network of middling size. Any run corrects it. */
const UNKNOWN_MS = 10;

const samplesOfOne = z.array(z.number().positive()).min(1).max(MOST_SAMPLES);
/** Instance key -> batch size -> latencies in ms, measured at start. */
export const latencySamplesSchema = z.record(z.string(), z.record(z.string(), samplesOfOne));
export type LatencySamples = z.infer<typeof latencySamplesSchema>;
/** Instance key -> ms of runs of one picture right after another one of the same. */
export const againSamplesSchema = z.record(z.string(), samplesOfOne);
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

/** Of fewer than a quantile asks for: how long runs take is known, how far they differ is not and is taken from elsewhere. */
const factsOfFew = (sorted: readonly number[], spread: number): Facts => ({
  ...factsOf(sorted),
  highMs: (quantile(sorted, 0.5) as number) * spread,
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

  /** undefined while there are too few. spread: high quantile over median at another time, for want of values. */
  facts(spread: number): Facts | undefined {
    const { fresh } = this.#recent;
    if (fresh.length < ENOUGH) return undefined;
    if (this.#known?.fresh !== fresh) {
      const facts = fresh.length < ENOUGH_FOR_QUANTILE ? factsOfFew(fresh, spread) : factsOf(fresh);
      this.#known = { fresh, facts };
    }
    return this.#known.facts;
  }
}

const withinBounds = (ms: number): number => Math.min(MOST_MS, Math.max(LEAST_MS, ms));

/** What a run of so many took, to be reckoned with whatever a clock said; undefined for what is no run or no time. */
const sensible = (size: number, ms: number): number | undefined =>
  size >= 1 && Number.isFinite(size) && !Number.isNaN(ms) ? withinBounds(ms) : undefined;

/** Microseconds are enough. sorted: smallest first; of too many, as many at even distances, both ends among them. */
function kept(sorted: readonly number[]): number[] {
  const few =
    sorted.length <= MOST_SAMPLES
      ? sorted
      : Array.from(
          { length: MOST_SAMPLES },
          (_, n) => sorted[Math.round((n * (sorted.length - 1)) / (MOST_SAMPLES - 1))] as number,
        );
  return few.map((ms) => Math.max(LEAST_MS, Number(ms.toFixed(3))));
}

function insertSorted(sorted: number[], ms: number): void {
  sorted.push(ms);
  sorted.sort((a, b) => a - b);
}

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

/** Of one instance, by batch size. */
type Row = Map<number, Cell>;

/**
 * From handing a batch to an engine thread to having its logits, in ms, by instance key and batch size. It is total: for
 * every instance and size, from the first moment and after any silence, the answer is a finite number above 0, and no
 * question and no value makes it throw. A cell may be empty, as when a run served it that nobody measured and that is too
 * long ago by now; then its neighbours answer, then other instances.
 */
export class LatencyTable {
  readonly #now: () => number;
  readonly #rows = new Map<string, Row>();
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
    const its = sensible(size, ms);
    if (its !== undefined) insertSorted(this.#cell(key, size).measured, its);
  }

  /** A run of one picture before anything was served, right after another one of the same. */
  measuredAgain(key: string, ms: number): void {
    const its = sensible(1, ms);
    if (its !== undefined)
      insertSorted(
        getOrInsert(this.#again, key, () => []),
        its,
      );
  }

  /** A run that served a picture: it counts as long as it is recent. */
  record(key: string, size: number, ms: number): void {
    const its = sensible(size, ms);
    if (its === undefined) return;
    const cell = this.#cell(key, size);
    cell.recent.add(its);
    const { usualMs } = cell;
    if (usualMs === undefined) return;
    getOrInsert(this.#slowdowns, size, () => new RecentFacts(this.#now)).add(its / usualMs);
    this.#anySlowdown.add(its / usualMs);
  }

  /** undefined if there is nothing to go by. */
  #facts(cell: Cell, size: number): Facts | undefined {
    const { usualMs, recent, measured } = cell;
    if (usualMs === undefined) return recent.fresh.length ? factsOf(recent.fresh) : undefined;
    const start = factsOf(measured);
    const lately = recent.facts(start.highMs / usualMs);
    if (lately) return lately;
    // CPUs that are busy with other things are so for every instance: one that did not run of late must not look as fast
    // as it was. How much slower, and how surely, others show: runs of the same length best.
    const { highMs, meanMs } = this.#slowdowns.get(size)?.facts(1) ??
      this.#anySlowdown.facts(1) ?? { highMs: 1, meanMs: 1 };
    return {
      highMs: Math.max(start.highMs, usualMs * highMs),
      meanMs: Math.max(start.meanMs, usualMs * meanMs),
    };
  }

  /**
   * ms that a run will hardly exceed: a high quantile. A size that nothing is known of lies on the line through its
   * neighbours (a + b n), or through the origin and the nearest one; an instance that nothing is known of is as the mean
   * of the others.
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

  #interpolate(key: string, asked: number, fact: keyof Facts): number {
    const row = this.#rows.get(key);
    const size = Math.max(1, asked || 1); // NaN too
    const exact = row && this.#known(row, size)?.[fact];
    return withinBounds(exact ?? along(this.#points(row, fact), size) ?? this.#others(size, fact));
  }

  #known(row: Row, size: number): Facts | undefined {
    const cell = row.get(size);
    return cell && this.#facts(cell, size);
  }

  /** Sizes of which something is known, smallest first, and the fact of each. */
  #points(row: Row | undefined, fact: keyof Facts): (readonly [number, number])[] {
    return [...(row?.keys() ?? [])]
      .flatMap((n) => {
        const facts = this.#known(row as Row, n);
        return facts ? [[n, facts[fact]] as const] : [];
      })
      .sort((a, b) => a[0] - b[0]);
  }

  /** What instances of which something is known take on average: all that can be said of one that never ran. */
  #others(size: number, fact: keyof Facts): number {
    const all = [...this.#rows.values()].flatMap((row) => along(this.#points(row, fact), size) ?? []);
    return all.length ? all.reduce((a, b) => a + b, 0) / all.length : UNKNOWN_MS * size;
  }

  /** Whether this instance was measured at this size. */
  has(key: string, size: number): boolean {
    return this.#rows.get(key)?.get(size)?.usualMs !== undefined;
  }

  /** What was measured at start, to be kept: of each cell as many values as are read back. */
  samples(): LatencySamples {
    return Object.fromEntries(
      [...this.#rows].map(([key, row]) => [
        key,
        Object.fromEntries(
          [...row].flatMap(([size, { measured }]) => (measured.length ? [[String(size), kept(measured)]] : [])),
        ),
      ]),
    );
  }

  againSamples(): AgainSamples {
    return Object.fromEntries([...this.#again].map(([key, values]) => [key, kept(values)]));
  }

  #cell(key: string, size: number): Cell {
    const row = getOrInsert(this.#rows, key, () => new Map());
    return getOrInsert(row, size, () => new Cell(this.#now));
  }
}

/** On the line through the points beside this size, or through the origin and the last one; undefined if there is none. */
function along(points: readonly (readonly [number, number])[], size: number): number | undefined {
  const at = points.find(([n]) => n === size);
  if (at) return at[1];
  const below = points.findLast(([n]) => n < size);
  const above = points.find(([n]) => n > size);
  if (below && above) return below[1] + ((above[1] - below[1]) * (size - below[0])) / (above[0] - below[0]);
  return below ? (below[1] * size) / below[0] : above?.[1];
}
