/** Summarises runs in virtual time and compares the participants. */
import { sum } from '../../src/load/statistics.js';
import type { Answer } from './service.js';

/** Shares of all arrivals, except goodput. */
export interface Figures {
  /** Sum of the accuracies of the instances behind answers in time, over all arrivals. */
  readonly utility: number;
  readonly inTime: number;
  readonly late: number;
  /** Admitted, and dropped when no instance could meet the deadline any more. */
  readonly expired: number;
  /** Refused for any other reason, at once or after waiting. */
  readonly refused: number;
  /** Answers in time, relative to the number of pictures that load 1 would be in the same time. */
  readonly goodput: number;
}
export const FIGURES = ['utility', 'inTime', 'late', 'expired', 'refused', 'goodput'] as const;

/** loadOne: number of pictures that load 1 would be during the trace. */
export function summarise(answers: readonly Answer[], loadOne: number): Figures {
  const share = (counts: (a: Answer) => boolean) => answers.filter(counts).length / answers.length;
  const inTime = answers.filter((a) => a.inTime);
  return {
    utility: sum(inTime.map((a) => a.instance?.accuracy ?? 0)) / answers.length,
    inTime: inTime.length / answers.length,
    late: share((a) => a.instance !== undefined && !a.inTime),
    expired: share((a) => a.code === 'deadline-exceeded'),
    refused: share((a) => a.code !== undefined && a.code !== 'deadline-exceeded'),
    goodput: inTime.length / loadOne,
  };
}

export interface Spread {
  readonly mean: number;
  /** Standard deviation of the sample; 0 for a single value. */
  readonly sd: number;
}

export function spread(values: readonly number[]): Spread {
  const mean = sum(values) / values.length;
  const squares = sum(values.map((v) => (v - mean) ** 2));
  return { mean, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 };
}

/** Mean and standard deviation of each figure over runs with different seeds; at least one run. */
export const over = (runs: readonly Figures[]): Record<keyof Figures, Spread> =>
  Object.fromEntries(FIGURES.map((f) => [f, spread(runs.map((r) => r[f]))])) as Record<keyof Figures, Spread>;

/** Utility that another participant may have more than the service: 0.2 points, as smaller differences are noise. */
const TOLERANCE = 0.002;

/** Results of all participants on one trace; the first row is the service. */
export interface TraceResult {
  readonly trace: string;
  readonly rows: readonly { readonly name: string; readonly figures: Pick<Record<keyof Figures, Spread>, 'utility'> }[];
}

/** The traces and participants whose mean utility is above that of the service by more than the tolerance. */
export function lostTo(results: readonly TraceResult[]): { trace: string; rival: string; by: number }[] {
  return results.flatMap(({ trace, rows }) => {
    const ours = rows[0]?.figures.utility.mean as number;
    return rows
      .map(({ name, figures }) => ({ trace, rival: name, by: figures.utility.mean - ours }))
      .filter(({ by }) => by > TOLERANCE);
  });
}
