/** Formats runs and findings for printing. Pure. */
import { correctedCapacity } from './goal.js';
import { sumOf } from './summary.js';
import type { Finding, Run } from './verdict.js';

const percent = (share: number) => Number((100 * share).toFixed(1));
const tenths = (n: number) => Number(n.toFixed(1));

export function tableOf(runs: readonly Run[]): Record<string, string | number>[] {
  return runs.map(({ service, load, mode, summary: s, cpu, alone }) => ({
    service,
    load,
    mode,
    'capacity/s': tenths(cpu.capacityPerS),
    'in time/s': tenths(s.inTimePerS.service),
    '% of capacity': percent(s.inTimePerS.service / cpu.capacityPerS),
    "by the client's clock": percent(s.inTimePerS.client / cpu.capacityPerS),
    'corrected %': percent(correctedCapacity(cpu) / cpu.capacityPerS),
    '504 %': percent(s.expired / s.arrivals),
    'refused %': percent(sumOf(s.refused) / s.arrivals),
    'late %': percent(s.late / s.arrivals),
    'refusal p99 ms': tenths(s.refusalMs.p99),
    'p50 ms': tenths(s.serverMs.p50),
    'p99 ms': tenths(s.serverMs.p99),
    'accuracy %': percent(s.deliveredAccuracy),
    'alone after %': percent(alone.after),
    'lag p99 ms': tenths(s.lagMs.p99),
  }));
}

export function lineOf({ service, load, mode, what, holds, figure, limit }: Finding): string {
  const { median, least, most, n } = figure;
  const [middle, from, to, bound] = [median, least, most, limit].map((x) => x.toFixed(3));
  return `${holds ? 'holds ' : 'FAILS '} ${service}, ${load} x, ${mode}: ${what}: ${middle} (${from} to ${to}, n = ${n}), limit ${bound}`;
}
