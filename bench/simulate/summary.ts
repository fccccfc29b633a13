/** What a simulation comes to, in the terms of DESIGN.md. */
import { quantile } from '../../src/latency/quantile.js';
import type { Fate, Simulation } from './simulate.js';

export interface Summary {
  readonly arrivals: number;
  /** Answers in time / all arrivals. */
  readonly attainment: number;
  /** Sum of the accuracy of the instances behind in-time answers / all arrivals. */
  readonly utility: number;
  /** Mean accuracy of the instances behind in-time answers; NaN if there are none. */
  readonly accuracy: number;
  /** Mean FLOPs of in-time answers, as a share of `full`. */
  readonly costShare: number;
  /** Parts of all arrivals. */
  readonly refused: number;
  readonly expired: number;
  readonly late: number;
  readonly failed: number;
  /** ms from arrival to the logits, of all that ran to the end. */
  readonly responseP50Ms: number;
  readonly responseP99Ms: number;
  /** ms of this host for a call of the policy. */
  readonly decisionP50Ms: number;
  readonly decisionP99Ms: number;
}

export function summarise({ answers, decisionsMs }: Simulation): Summary {
  const share = (fate: Fate) => answers.filter((a) => a.fate === fate).length / answers.length;
  const inTime = answers.flatMap((a) => (a.fate === 'in time' && a.instance ? [a.instance] : []));
  const correct = sum(inTime.map((i) => i.accuracy));
  const response = sorted(answers.flatMap((a) => (a.endMs === undefined ? [] : [a.endMs - a.arrivalMs])));
  const decisions = sorted(decisionsMs);
  return {
    arrivals: answers.length,
    attainment: inTime.length / answers.length,
    utility: correct / answers.length,
    accuracy: correct / inTime.length,
    costShare: sum(inTime.map((i) => i.share)) / inTime.length,
    refused: share('refused'),
    expired: share('expired') + share('waiting'),
    late: share('late'),
    failed: share('failed'),
    responseP50Ms: quantile(response, 0.5) ?? Number.NaN,
    responseP99Ms: quantile(response, 0.99) ?? Number.NaN,
    decisionP50Ms: quantile(decisions, 0.5) ?? Number.NaN,
    decisionP99Ms: quantile(decisions, 0.99) ?? Number.NaN,
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

export type SpreadSummary = Readonly<Record<keyof Summary, Spread>>;

/** Figure by figure over runs that differ by their seed; at least one. */
export function over(summaries: readonly Summary[]): SpreadSummary {
  const figures = Object.keys(summaries[0] as Summary) as (keyof Summary)[];
  const entries = figures.map((figure) => [figure, spread(summaries.map((s) => s[figure]))]);
  return Object.fromEntries(entries) as SpreadSummary;
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const sorted = (values: readonly number[]) => values.toSorted((a, b) => a - b);
