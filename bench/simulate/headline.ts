/**
 * SuperServe's two headline figures (NSDI 2025: 4.67 points of accuracy at equal attainment, 2.85 times the attainment
 * at equal accuracy), by its measure: against every fixed instance and always the cheapest (INFaaS without a limit on
 * accuracy). It reads them off plots of accuracy over attainment; as rules:
 *
 * - accuracy gained: our delivered accuracy less the highest of those that attain at least as much as we do;
 * - attainment ratio: our attainment over the highest of those that deliver at least our accuracy.
 *
 * Attainment counts as equal within 0.1 points, accuracy within 0.05. Where nobody attains as much, there is no gain to
 * give, and `reached` says so: then the one that comes closest in attainment is compared with, which favours it.
 */
import { dimmerOf, type Row, type TraceResult } from './compare.js';

const SAME_ATTAINMENT = 0.001;
const SAME_ACCURACY = 0.0005;

export interface Headline {
  readonly trace: string;
  readonly accuracyGain: number;
  /** Whether the one compared with attains as much as we do. */
  readonly reached: boolean;
  readonly over: string;
  readonly attainmentRatio: number | null;
}

const accuracyOf = (row: Row) => row.figures.accuracy.mean;
const attainmentOf = (row: Row) => row.figures.attainment.mean;
const highest = (rows: readonly Row[], by: (row: Row) => number) =>
  rows.reduce<Row | undefined>((a, b) => (a === undefined || by(b) > by(a) ? b : a), undefined);

export function headline(result: TraceResult): Headline {
  const ours = dimmerOf(result);
  const others = result.rows.filter((r) => r.name.startsWith('fixed:') || r.name === 'infaas');
  const asAttaining = others.filter((r) => attainmentOf(r) >= attainmentOf(ours) - SAME_ATTAINMENT);
  const asAccurate = others.filter((r) => accuracyOf(r) >= accuracyOf(ours) - SAME_ACCURACY);
  const rival = highest(asAttaining, accuracyOf) ?? (highest(others, attainmentOf) as Row);
  const accurate = highest(asAccurate, attainmentOf);
  return {
    trace: result.trace,
    accuracyGain: accuracyOf(ours) - accuracyOf(rival),
    reached: asAttaining.length > 0,
    over: rival.name,
    attainmentRatio: accurate && attainmentOf(accurate) > 0 ? attainmentOf(ours) / attainmentOf(accurate) : null,
  };
}
