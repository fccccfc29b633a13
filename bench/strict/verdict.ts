/** Checks whether strict requests lose anything against the alternatives. Pure. */
import { median } from '../../src/load/statistics.js';
import { spread } from '../virtual/summary.js';

export const PARTICIPANTS = ['strict', 'best effort', 'cheapest'] as const;
export type Participant = (typeof PARTICIPANTS)[number];

export interface Run {
  readonly trace: string;
  readonly participant: Participant;
  /** The runs of one round have the same arrivals. */
  readonly round: number;
  /** Share of all arrivals answered in time, by the service's clock. */
  readonly attainment: number;
}

export interface Finding {
  readonly trace: string;
  readonly against: Participant;
  readonly holds: boolean;
  /** Median attainment over the rounds, of strict requests and of the other participant. */
  readonly strict: number;
  readonly other: number;
  /** How much lower the median of strict may be, as a share of arrivals. */
  readonly margin: number;
  /** Differences of attainment, strict less the other, within each round: the uncertainty of the comparison. */
  readonly differences: { readonly median: number; readonly mean: number; readonly sd: number; readonly n: number };
}

/** How much lower the attainment of strict may be than that of each other participant. */
const MARGINS: readonly (readonly [Participant, number])[] = [
  ['best effort', 0.003],
  ['cheapest', 0.005],
];
/** Tolerance for rounding errors of floating-point numbers. */
const EPSILON = 1e-9;

/** Two findings for each trace. A comparison without runs does not hold. */
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
