/** Checks the goals of the overload test. Pure. */
import { median } from '../../src/load/statistics.js';
import { type CpuUse, correctedCapacity } from './goal.js';
import { type Summary, sumOf } from './summary.js';

export const MODES = ['strict', 'best effort'] as const;
export type Mode = (typeof MODES)[number];

export interface Run {
  readonly service: string;
  readonly load: number;
  readonly mode: Mode;
  readonly summary: Summary;
  readonly cpu: CpuUse;
  /** Accuracy of the instance that a single request got, before the overload and 2 s after it. */
  readonly alone: { readonly before: number; readonly after: number };
}

/** Median and range of n runs; the median is judged. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly n: number;
}

export interface Finding {
  readonly service: string;
  readonly load: number;
  readonly mode: Mode;
  readonly what: string;
  readonly holds: boolean;
  readonly figure: Spread;
  readonly limit: number;
}

/** Demanded goodput as a share of the capacity (below load `from`) or of the corrected capacity (from there on). */
const SHARE = { below: 0.9, above: 0.8, from: 2 };
const MOST_EXPIRED = 0.01;
const MOST_REFUSAL_MS = 20;

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [least, most] = [sorted[0], sorted.at(-1)].map((value) => value ?? Number.NaN) as [number, number];
  return { median: median(values), least, most, n: values.length };
}

/**
 * The capacity by which run `index` is judged: the median of its own measurement and of those before and after it.
 * measured: in the order of time, one before all runs, then one for each run, then one after all runs.
 */
export const capacityAround = (measured: readonly number[], index: number): number =>
  median(measured.slice(index, index + 3));

/** Goodput as a share of the capacity: reached, and demanded. */
export function shareOf(run: Run): { readonly reached: number; readonly demanded: number } {
  const { capacityPerS } = run.cpu;
  const reached = run.summary.inTimePerS.service / capacityPerS;
  if (run.load < SHARE.from) return { reached, demanded: SHARE.below };
  return { reached, demanded: (SHARE.above * correctedCapacity(run.cpu)) / capacityPerS };
}

interface Demand {
  readonly what: string;
  readonly of: (run: Run) => number;
  readonly limit: (runs: readonly Run[]) => number;
  /** true: the median must be at least the limit; false: at most. */
  readonly least: boolean;
  /** Runs with the figure NaN are left out: a run without refusals has no p99 of refusals. */
  readonly optional?: true;
}

const DEMANDS: readonly Demand[] = [
  {
    what: 'in time, share of capacity',
    of: (r) => shareOf(r).reached,
    limit: (runs) => median(runs.map((r) => shareOf(r).demanded)),
    least: true,
  },
  {
    what: 'admitted and expired, share of arrivals',
    of: ({ summary: s }) => s.expired / s.arrivals,
    limit: () => MOST_EXPIRED,
    least: false,
  },
  {
    what: 'refusal p99, ms',
    of: ({ summary: s }) => s.refusalMs.p99,
    limit: () => MOST_REFUSAL_MS,
    least: false,
    optional: true,
  },
  { what: 'unanswered or failed', of: ({ summary: s }) => sumOf(s.failed), limit: () => 0, least: false },
  {
    what: 'accuracy of a lone request 2 s later, less that before',
    of: ({ alone }) => alone.after - alone.before,
    limit: () => 0,
    least: true,
  },
];

/** One finding for each demand, service, load and mode. */
export function findings(runs: readonly Run[]): Finding[] {
  const keyOf = (r: Run) => JSON.stringify([r.service, r.load, r.mode]);
  return [...new Set(runs.map(keyOf))].flatMap((key) => judged(runs.filter((r) => keyOf(r) === key)));
}

/** runs: of one service, load and mode; at least one. */
function judged(runs: readonly Run[]): Finding[] {
  const { service, load, mode } = runs[0] as Run;
  return DEMANDS.map(({ what, of, limit, least, optional }) => {
    const values = runs.map(of);
    const figure = spreadOf(optional ? values.filter((v) => !Number.isNaN(v)) : values);
    const bound = limit(runs);
    const kept = least ? figure.median >= bound : figure.median <= bound;
    return { service, load, mode, what, holds: kept || (optional === true && figure.n === 0), figure, limit: bound };
  });
}
