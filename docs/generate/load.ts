/** A run of bench:load, as the pages compare it: by trace and participant, void runs left out. */
import { fixedInstance, OURS } from '../../bench/load/participants.js';
import { isVoid } from '../../bench/load/verdict.js';
import { lostTo, spread, type TraceResult } from '../../bench/virtual/summary.js';
import { mean } from '../../src/load/statistics.js';
import type { Summary } from '../../src/load/summary.js';
import type { Loaded, Virtual } from './shapes.js';

/** Everybody's U on a trace; ours first. n: runs, or seeds, of ours. */
export interface Contest extends TraceResult {
  readonly n: number;
  readonly rows: readonly {
    readonly name: string;
    readonly figures: { readonly utility: { mean: number; sd: number } };
  }[];
}

export const valid = ({ runs }: Pick<Loaded, 'runs'>) => runs.filter((r) => !isVoid(r));

/** In the order of the traces; those on which ours has no run that counts are left out. */
export function contests(loaded: Pick<Loaded, 'runs'>): Contest[] {
  const runs = valid(loaded);
  return [...new Set(runs.map((r) => r.trace))].flatMap((trace) => {
    const here = runs.filter((r) => r.trace === trace);
    const of = (name: string) => here.filter((r) => r.participant === name).map((r) => r.summary.uProfiled);
    const ours = of(OURS.name);
    if (ours.length === 0) return [];
    const others = [...new Set(here.map((r) => r.participant))].filter((name) => name !== OURS.name);
    const rows = [OURS.name, ...others].map((name) => ({ name, figures: { utility: spread(of(name)) } }));
    return [{ trace, rows, n: ours.length }];
  });
}

export const contestsInVirtualTime = ({ results, setting }: Virtual): Contest[] =>
  results.map(({ trace, rows }) => ({ trace, rows, n: setting.seeds.length }));

/** An older or newer build of the service that took part. */
export const isCheckout = (name: string): boolean => name.startsWith('checkout:');
export const isFixed = (name: string): boolean => fixedInstance(name) !== undefined;
export const isRival = (name: string): boolean => name !== OURS.name && !isFixed(name) && !isCheckout(name);

/** The same with ours and some of the others; contests without any of them are left out. */
export const among = (all: readonly Contest[], wanted: (name: string) => boolean): Contest[] =>
  all.flatMap((contest) => {
    const [ours, ...others] = contest.rows;
    const rows = others.filter(({ name }) => wanted(name));
    return ours && rows.length > 0 ? [{ ...contest, rows: [ours, ...rows] }] : [];
  });

/** Ours less the best of the others. */
export function lead({ rows }: Contest): { readonly rival: string; readonly by: number } {
  const [ours, ...others] = rows.map(({ name, figures }) => ({ name, u: figures.utility.mean }));
  const best = others.reduce((a, b) => (b.u > a.u ? b : a));
  return { rival: best.name, by: (ours?.u ?? Number.NaN) - best.u };
}

/** Whether nobody is above ours by more than the tolerance. */
export const unbeaten = (contest: Contest): boolean => lostTo([contest]).length === 0;

/** By trace: what ours did, over its runs. */
export const oursBy = (loaded: Pick<Loaded, 'runs'>, figure: (s: Summary) => number): Map<string, number> => {
  const ours = valid(loaded).filter((r) => r.participant === OURS.name);
  const traces = [...new Set(ours.map((r) => r.trace))];
  return new Map(
    traces.map((trace) => [trace, mean(ours.filter((r) => r.trace === trace).map((r) => figure(r.summary)))]),
  );
};
