/** Results as tables for people. */
import type { Row, TraceResult } from './compare.js';
import type { Headline } from './headline.js';
import { overallShare, plannersShare, type ShortResult } from './short.js';

const percent = (share: number, digits = 2) => Number((share * 100).toFixed(digits));
const ms = (value: number) => Number(value.toFixed(value < 1 ? 3 : 1));

function line({ figures: f }: Row) {
  return {
    'U %': percent(f.utility.mean),
    '±': percent(f.utility.sd),
    'in time %': percent(f.attainment.mean),
    'accuracy %': percent(f.accuracy.mean),
    'cost %': percent(f.costShare.mean, 1),
    'refused %': percent(f.refused.mean),
    'expired %': percent(f.expired.mean),
    'late %': percent(f.late.mean),
    'p50 ms': ms(f.responseP50Ms.mean),
    'p99 ms': ms(f.responseP99Ms.mean),
    'decision p50': ms(f.decisionP50Ms.mean),
    'decision p99': ms(f.decisionP99Ms.mean),
  };
}

export function printTrace(result: TraceResult): void {
  const rows = result.rows.toSorted((a, b) => b.figures.utility.mean - a.figures.utility.mean);
  const arrivals = Math.round(rows[0]?.figures.arrivals.mean ?? 0);
  const gain = `${percent(result.gain.mean)} ± ${percent(result.gain.sd)} points above ${result.bestFixed}`;
  console.log(`\n${result.trace}: ${arrivals} pictures; dimmer ${gain}`);
  console.table(Object.fromEntries(rows.map((row) => [row.name, line(row)])));
}

export function printHeadlines(headlines: readonly Headline[], range: { cheapest: number; full: number }): void {
  const width = percent(range.full - range.cheapest);
  console.log(
    `\nthe family reaches from ${percent(range.cheapest)} to ${percent(range.full)} % (${width} points); SuperServe's figures:`,
  );
  console.table(
    Object.fromEntries(
      headlines.map((h) => [
        h.trace,
        {
          'accuracy gained, points': percent(h.accuracyGain),
          over: h.reached ? h.over : `${h.over} (attains less)`,
          'attainment ratio': h.attainmentRatio === null ? 'none as accurate' : Number(h.attainmentRatio.toFixed(3)),
        },
      ]),
    ),
  );
}

export function printShort(pictures: number, results: readonly ShortResult[]): void {
  const overall = percent(overallShare(results), 1);
  console.log(
    `\ntraces of ${pictures} pictures: dimmer has ${overall} % of what the oracle gains over the best fixed instance`,
  );
  for (const { sees, share } of plannersShare(results)) {
    console.log(`a planner that sees ${sees} deadlines ahead has ${percent(share, 1)} %`);
  }
  console.table(
    Object.fromEntries(
      results.map((r) => [
        r.result.trace,
        {
          pictures: r.pictures,
          'oracle U %': percent(r.oracle),
          'dimmer U %': percent(r.ours),
          'best fixed U %': percent(r.bestFixed),
          'best fixed': r.result.bestFixed,
          ...Object.fromEntries(r.planners.map((p) => [`seeing ${p.sees} deadlines, U %`, percent(p.utility)])),
          'share of gain': Number(r.share.toFixed(3)),
        },
      ]),
    ),
  );
}
