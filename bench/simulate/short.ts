/**
 * How much of what could be gained over the best fixed instance is gained, on traces short enough for the oracle.
 *
 * Of 200 pictures a trace is over after some three deadlines. The oracle knows when, and what was the best fixed instance is
 * known afterwards too: one that could not have lasted may be lucky for so long. So the same traces are also made longer.
 */
import { compareOn, dimmerOf, type TraceResult } from './compare.js';
import { planner } from './foresight.js';
import { optimum } from './oracle.js';
import { seeded, seedFor } from './random.js';
import { simulate } from './simulate.js';
import { summarise } from './summary.js';
import { gammaGaps, poisson, type Trace } from './traces.js';
import { toTick, type World } from './world.js';

/**
 * Pictures of a trace: as the issue has it, and long enough that its end matters little. sees: how far planners look
 * ahead there, in deadlines; their planning takes minutes.
 */
export const LENGTHS = [
  { pictures: 200, sees: [0, 0.5, 1, 2] },
  { pictures: 1000, sees: [] },
] as const;

export interface ShortResult {
  readonly result: TraceResult;
  readonly pictures: number;
  readonly oracle: number;
  readonly oracleBound: number;
  readonly ours: number;
  readonly bestFixed: number;
  readonly planners: readonly PlannerResult[];
  /** (ours - best fixed) / (oracle - best fixed); NaN if the best fixed one is the optimum. */
  readonly share: number;
}

export interface PlannerResult {
  /** How far it looks ahead, in deadlines. */
  readonly sees: number;
  readonly utility: number;
}

/** Of so many pictures each, bursty and not. */
export function shortTraces(capacityPerMs: number, pictures: number): Trace[] {
  const durationMs = (4 * pictures) / capacityPerMs; // more than enough, cut below
  const make = (name: string, bursty: boolean, cv2: number, load: number): Trace => {
    const random = seeded(seedFor(1, name));
    const perMs = load * capacityPerMs;
    const arrivals = bursty ? gammaGaps(cv2, perMs, durationMs, random) : poisson(perMs, durationMs, random);
    return { name, bursty, arrivalsMs: arrivals.slice(0, pictures).map(toTick) };
  };
  return [
    ...[0.4, 0.6, 0.8, 1].map((load) => make(`${pictures} poisson ${load}`, false, 1, load)),
    ...[2, 4, 8].flatMap((cv2) =>
      [0.5, 0.7, 0.9].map((load) => make(`${pictures} gamma cv2=${cv2} ${load}`, true, cv2, load)),
    ),
  ];
}

/** sees: of planners, in deadlines. */
export function compareWithOracle(trace: Trace, world: World, sees: readonly number[]): ShortResult {
  const result = compareOn([{ trace, world }]);
  const { utility: oracle, bound } = optimum(trace.arrivalsMs, world);
  const ours = dimmerOf(result).figures.utility.mean;
  const bestFixed = ours - result.gain.mean;
  const planners = sees.map((deadlines) => {
    const contender = planner(trace, world, deadlines * world.deadlineMs);
    return { sees: deadlines, utility: summarise(simulate(trace, contender, world)).utility };
  });
  return {
    result,
    pictures: trace.arrivalsMs.length,
    oracle,
    oracleBound: bound,
    ours,
    bestFixed,
    planners,
    share: (ours - bestFixed) / (oracle - bestFixed),
  };
}

/** Over all traces: what is gained in sum, of what could be; traces with nothing to gain weigh nothing. */
export const overallShare = (
  results: readonly ShortResult[],
  utility: (r: ShortResult) => number = (r) => r.ours,
): number => sum(results.map((r) => utility(r) - r.bestFixed)) / sum(results.map((r) => r.oracle - r.bestFixed));

/** The same of each planner. */
export const plannersShare = (results: readonly ShortResult[]) =>
  (results[0]?.planners ?? []).map(({ sees }, n) => ({
    sees,
    share: overallShare(results, (r) => (r.planners[n] as PlannerResult).utility),
  }));

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
