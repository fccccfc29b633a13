/** Pure: whether being strict loses anything. */
import { median } from '../../src/load/statistics.js';
import { spread } from '../virtual/summary.js';

export const PARTICIPANTS = ['strict', 'best effort', 'cheapest'] as const;
export type Participant = (typeof PARTICIPANTS)[number];

export interface Run {
  readonly trace: string;
  readonly participant: Participant;
  /** Runs of one round have the same trace. */
  readonly round: number;
  /** Share of all arrivals answered in time, by the service's clock. */
  readonly attainment: number;
}

export interface Finding {
  readonly trace: string;
  readonly against: Participant;
  readonly holds: boolean;
  /** Medians over the rounds. */
  readonly strict: number;
  readonly other: number;
  /** How much lower the median of strict may be. */
  readonly margin: number;
  /** Of strict less the other, round by round: how far the difference of medians can be trusted. */
  readonly differences: { readonly median: number; readonly mean: number; readonly sd: number; readonly n: number };
}

/** How much less than these strict may answer in time. */
const MARGINS: readonly (readonly [Participant, number])[] = [
  ['best effort', 0.003],
  ['cheapest', 0.005],
];
/** Of rounding: shares that are equal but for it are equal. */
const EPSILON = 1e-9;

/** Two for each trace. A comparison without runs does not hold. */
export function findings(runs: readonly Run[]): Finding[] {
  return [...new Set(runs.map((r) => r.trace))].flatMap((trace) =>
    MARGINS.map(([against, margin]) => compared(runs, trace, against, margin)),
  );
}

function compared(runs: readonly Run[], trace: string, against: Participant, margin: number): Finding {
  const of = (participant: Participant) => runs.filter((r) => r.trace === trace && r.participant === participant);
  const [ours, theirs] = [of('strict'), of(against)];
  const pairs = ours.flatMap((o) => {
    const other = theirs.find((r) => r.round === o.round);
    return other ? [o.attainment - other.attainment] : [];
  });
  const [strict, other] = [ours, theirs].map((some) => median(some.map((r) => r.attainment))) as [number, number];
  return {
    trace,
    against,
    holds: strict - other >= -margin - EPSILON,
    strict,
    other,
    margin,
    differences: { median: median(pairs), ...spread(pairs), n: pairs.length },
  };
}
