/** Rows of the table that bench:load prints. Pure. */
import { mean } from '../../src/load/statistics.js';
import type { Summary } from '../../src/load/summary.js';
import type { Run } from './verdict.js';

type Row = Record<string, string | number>;

const COLUMNS: Record<string, (s: Summary, run: Run) => number> = {
  'U profiled %': (s) => 100 * s.uProfiled,
  'U measured %': (s) => 100 * s.uMeasured,
  'in time %': (s) => 100 * s.attainment,
  'kept %': (s) => 100 * s.promiseKept,
  'refused %': (s) => (100 * count(s.refused)) / s.arrivals,
  'failed %': (s) => (100 * count(s.failed)) / s.arrivals,
  'late %': (s) => (100 * s.late) / s.arrivals,
  'accuracy %': (s) => 100 * s.deliveredAccuracy.profiled,
  'cost %': (s) => 100 * s.meanShare,
  'p50 ms': (s) => s.serverMs.p50,
  'p99 ms': (s) => s.serverMs.p99,
  'p99.9 ms': (s) => s.serverMs.p999,
  'foreign CPUs': (_, run) => run.foreignCpus ?? Number.NaN,
};

/** One row for each participant and trace, with means over its runs. */
export function tableOf(runs: readonly Run[]): Row[] {
  const keys = new Set(runs.map((r) => `${r.trace}\n${r.participant}`));
  return [...keys].map((key) => {
    const [trace, participant] = key.split('\n') as [string, string];
    const own = runs.filter((r) => r.trace === trace && r.participant === participant);
    const figures = Object.entries(COLUMNS).map(([name, of]) => [
      name,
      Number(mean(own.map((run) => of(run.summary, run))).toFixed(2)),
    ]);
    return { trace, participant, runs: own.length, ...Object.fromEntries(figures) };
  });
}

const count = (reasons: Readonly<Record<string, number>>) => Object.values(reasons).reduce((a, b) => a + b, 0);
