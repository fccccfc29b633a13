/** What runs in virtual time come to, and who is ahead of whom. */
import type { Answer } from './service.js';

/** Parts of all arrivals, but for goodput. */
export interface Figures {
  /** Sum of the accuracy of the instances behind answers in time. */
  readonly utility: number;
  readonly inTime: number;
  readonly late: number;
  /** Admitted, and no instance could be in time any more. */
  readonly expired: number;
  /** Any other problem: turned away at once, or told that it waits no longer. */
  readonly refused: number;
  /** Answers in time over what load 1 would be in the same time. */
  readonly goodput: number;
}
export const FIGURES = ['utility', 'inTime', 'late', 'expired', 'refused', 'goodput'] as const;

/** loadOne: pictures that load 1 would be. */
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
  /** Standard deviation of the sample; 0 of a single one. */
  readonly sd: number;
}

export function spread(values: readonly number[]): Spread {
  const mean = sum(values) / values.length;
  const squares = sum(values.map((v) => (v - mean) ** 2));
  return { mean, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 };
}

/** Figure by figure over runs that differ by their seed; at least one. */
export const over = (runs: readonly Figures[]): Record<keyof Figures, Spread> =>
  Object.fromEntries(FIGURES.map((f) => [f, spread(runs.map((r) => r[f]))])) as Record<keyof Figures, Spread>;

/** What may be missing to the utility of another: 0.2 points (DESIGN.md, how we judge it). */
const TOLERANCE = 0.002;

/** What everybody did on a trace; ours is the first row. */
export interface TraceResult {
  readonly trace: string;
  readonly rows: readonly { readonly name: string; readonly figures: Pick<Record<keyof Figures, Spread>, 'utility'> }[];
}

/** Where another's mean utility is above ours by more than the tolerance. */
export function lostTo(results: readonly TraceResult[]): { trace: string; rival: string; by: number }[] {
  return results.flatMap(({ trace, rows }) => {
    const ours = rows[0]?.figures.utility.mean as number;
    return rows
      .map(({ name, figures }) => ({ trace, rival: name, by: figures.utility.mean - ours }))
      .filter(({ by }) => by > TOLERANCE);
  });
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
