/** Pure: whether what the issue asks for holds. */
import { mean, median } from '../../src/load/statistics.js';
import type { Summary } from '../../src/load/summary.js';
import { MOST_FOREIGN_CPUS } from './foreign.js';
import { fixedInstance, isCheckout, OURS } from './participants.js';

export interface Run {
  readonly trace: string;
  readonly bursty: boolean;
  readonly participant: string;
  readonly summary: Summary;
  /** CPUs that went to anything but the service and the generator, where that can be told. */
  readonly foreignCpus?: number | undefined;
}

/** Whether its figures are of something else as well: of a generator that lagged, or of a host that did other things. */
export const isVoid = ({ summary, foreignCpus = 0 }: Pick<Run, 'foreignCpus'> & { summary: Pick<Summary, 'void'> }) =>
  summary.void || foreignCpus > MOST_FOREIGN_CPUS;

export interface Finding {
  readonly what: string;
  readonly holds: boolean;
  readonly detail: string;
}

/** Two points in a thousand: less is no difference. */
const MARGIN = 0.002;

/** How much U may fall from one version to the next; a single run of a changing load scatters by 1.6 points on a shared host. */
const WORSE = { steady: 0.005, changing: 0.02 };
const STEADY = /^poisson/;

interface Demand {
  readonly trace: string;
  readonly what: string;
  readonly figure: (s: Summary) => number;
  readonly atLeast: number;
}

function demands(fullTop1: number): Demand[] {
  return [
    { trace: 'poisson 0.8', what: 'attainment', figure: (s) => s.attainment, atLeast: 0.995 },
    { trace: 'poisson 0.8', what: 'promises kept', figure: (s) => s.promiseKept, atLeast: 0.999 },
    { trace: 'gamma cv2=8 0.7', what: 'attainment', figure: (s) => s.attainment, atLeast: 0.95 },
    {
      trace: 'poisson 0.2',
      what: 'delivered accuracy',
      figure: (s) => s.deliveredAccuracy.profiled,
      atLeast: fullTop1 - MARGIN,
    },
  ];
}

/** runs: void ones left out. fullTop1: profiled. Only what was measured is judged. */
export function findings(runs: readonly Run[], fullTop1: number): Finding[] {
  const traces = [...new Set(runs.map((r) => r.trace))];
  const absolute = demands(fullTop1).filter((d) => traces.includes(d.trace));
  return [
    ...absolute.map((d) => met(d, runs)),
    ...traces.flatMap((trace) => [...compared(trace, runs), ...againstCheckouts(trace, runs)]),
  ];
}

/** The n-th run of this build against the n-th of another one, on the same arrivals. */
function againstCheckouts(trace: string, runs: readonly Run[]): Finding[] {
  const u = (name: string) => of(runs, trace, name).map((s) => s.uProfiled);
  const ours = u(OURS.name);
  const atMost = STEADY.test(trace) ? WORSE.steady : WORSE.changing;
  return [...new Set(runs.map((r) => r.participant))].filter(isCheckout).flatMap((name) => {
    const pairs = u(name)
      .slice(0, ours.length)
      .map((theirs, n) => (ours[n] as number) - theirs);
    if (pairs.length === 0) return [];
    const difference = median(pairs);
    return {
      what: `${trace}: U at least that of ${name} less ${percent(atMost)}, median of pairs`,
      holds: difference >= -atMost,
      detail: `${percent(difference)} (${pairs.map(percent).join(', ')})`,
    };
  });
}

function met({ trace, what, figure, atLeast }: Demand, runs: readonly Run[]): Finding {
  const ours = of(runs, trace, OURS.name).map(figure);
  return {
    what: `${trace}: ${what} at least ${percent(atLeast)}`,
    holds: mean(ours) >= atLeast,
    detail: `${percent(mean(ours))} (${ours.map(percent).join(', ')})`,
  };
}

/** Ours against everybody on one trace, by profiled U; measured U is reported, its own noise is near the margin. */
function compared(trace: string, runs: readonly Run[]): Finding[] {
  const here = runs.filter((r) => r.trace === trace);
  const u = (participant: string) => of(here, trace, participant).map((s) => s.uProfiled);
  const ours = u(OURS.name);
  const rivals = [...new Set(here.map((r) => r.participant))]
    .filter((name) => name !== OURS.name && !isCheckout(name))
    .map((name) => ({ name, u: mean(u(name)) }))
    .sort((a, b) => b.u - a.u);
  const [best] = rivals;
  if (ours.length === 0) return [{ what: `${trace}: ours ran`, holds: false, detail: 'no run of it counts' }];
  if (!best) return [];
  const notWorse = {
    what: `${trace}: U at least that of all others less ${percent(MARGIN)}`,
    holds: mean(ours) >= best.u - MARGIN,
    detail: `${percent(mean(ours))} against ${percent(best.u)} of ${best.name}`,
  };
  const fixed = rivals.find(({ name }) => fixedInstance(name));
  if (!here[0]?.bursty || !fixed) return [notWorse];
  const spread = Math.max(...ours) - Math.min(...ours);
  const above = {
    what: `${trace}: U above the best fixed instance by more than the spread of our runs`,
    holds: mean(ours) - fixed.u > spread,
    detail: `${percent(mean(ours) - fixed.u)} above ${fixed.name}, spread ${percent(spread)} of ${ours.length} runs`,
  };
  return [notWorse, above];
}

function of(runs: readonly Run[], trace: string, participant: string): Summary[] {
  return runs.filter((r) => r.trace === trace && r.participant === participant).map((r) => r.summary);
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
