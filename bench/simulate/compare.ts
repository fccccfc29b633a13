/** All contenders on all traces, and who is ahead of whom. */

import type { Contender } from '../policies/contender.js';
import { BATCHERS, CHOOSERS, DIMMER, everyFixed } from '../policies/rivals.js';
import { simulate } from './simulate.js';
import { over, type Spread, type SpreadSummary, type Summary, spread, summarise } from './summary.js';
import type { Table } from './table.js';
import { makeTraces, type Trace } from './traces.js';
import { measuredWorld, type World } from './world.js';

/** What may be missing to the utility of another: 0.2 points (DESIGN.md, how we judge it). */
export const TOLERANCE = 0.002;

/** One trace as a seed makes it, and the world that goes with it. */
export interface Scene {
  readonly trace: Trace;
  readonly world: World;
}

export interface Row {
  readonly name: string;
  readonly figures: SpreadSummary;
  /** Of each seed. */
  readonly utilities: readonly number[];
}

export interface TraceResult {
  readonly trace: string;
  readonly bursty: boolean;
  /** `fixed:<id>` with the highest mean utility. */
  readonly bestFixed: string;
  /** Utility of dimmer less that of the best fixed instance, seed by seed. */
  readonly gain: Spread;
  readonly rows: readonly Row[];
}

export interface Setting {
  readonly threads: number;
  readonly capacityPerMs: number;
  readonly deadlineMs: number;
  readonly durationMs: number;
  readonly seeds: readonly number[];
}

/** The comparison's traces, each with a scene for each seed. */
export function scenesOf(table: Table, setting: Setting): Scene[][] {
  const bySeed = setting.seeds.map((seed) => ({
    world: measuredWorld(table, setting, seed),
    traces: makeTraces({ ...setting, seed }),
  }));
  const [first] = bySeed;
  return (first?.traces ?? []).map((_, n) => bySeed.map((s) => ({ world: s.world, trace: s.traces[n] as Trace })));
}

/** scenes: of one trace. simulated: called after each contender. */
export function compareOn(scenes: readonly Scene[], simulated: () => void = () => {}): TraceResult {
  const { trace, world } = scenes[0] as Scene;
  const row = (contender: Contender): Row => {
    const summaries: Summary[] = scenes.map((s) => summarise(simulate(s.trace, contender, s.world)));
    simulated();
    return { name: contender.name, figures: over(summaries), utilities: summaries.map((s) => s.utility) };
  };
  const dimmer = row(DIMMER);
  const fixed = everyFixed(world.instances).map(row);
  const best = fixed.reduce((a, b) => (b.figures.utility.mean > a.figures.utility.mean ? b : a));
  const bestId = best.name.replace('fixed:', '');
  const rivals = [...BATCHERS.map((on) => on(bestId)), ...CHOOSERS].map(row);
  return {
    trace: trace.name,
    bursty: trace.bursty,
    bestFixed: best.name,
    gain: spread(dimmer.utilities.map((u, n) => u - (best.utilities[n] as number))),
    rows: [dimmer, ...fixed, ...rivals],
  };
}

/** How many contenders `compareOn` simulates. */
export const contendersOn = (instances: number) => 1 + instances + BATCHERS.length + CHOOSERS.length;

export const dimmerOf = ({ rows }: TraceResult): Row => rows[0] as Row;

/** What `lostTo` looks at; ours is the first row. */
interface Compared {
  readonly trace: string;
  readonly rows: readonly { readonly name: string; readonly figures: { readonly utility: Spread } }[];
}

/** Where another's mean utility is above ours by more than the tolerance. */
export function lostTo(results: readonly Compared[]): { trace: string; rival: string; by: number }[] {
  return results.flatMap((result) => {
    const ours = result.rows[0]?.figures.utility.mean as number;
    return result.rows
      .map((r) => ({ trace: result.trace, rival: r.name, by: r.figures.utility.mean - ours }))
      .filter(({ by }) => by > TOLERANCE);
  });
}

/** Bursty traces on which we are not above the best fixed instance by more than the spread over the seeds. */
export const notClear = (results: readonly TraceResult[]): TraceResult[] =>
  results.filter(({ bursty, gain }) => bursty && gain.mean <= gain.sd);
