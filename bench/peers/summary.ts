/** Pure: what runs come to, and whether another server is ahead of dimmer. */

import { counts, quantiles } from '../../src/load/statistics.js';
import { MOST_LAG_MS } from '../../src/load/summary.js';
import type { RequestRecord } from '../load/job.js';
import { type Spread, spreadOf } from '../overload/verdict.js';
import { DEADLINE_MS } from './servers.js';

/** Of one run. */
export interface Figures {
  readonly arrivals: number;
  /** Shares of all arrivals. */
  readonly rightInTime: number;
  readonly inTime: number;
  readonly answered: number;
  /** Share of right ones of what was answered, late or not. Null of nothing: JSON has no NaN. */
  readonly accuracy: number | null;
  /** Of what was answered, from when it should have been sent to the last byte. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** What was not answered, by what was said instead. */
  readonly refused: Readonly<Record<string, number>>;
  /** The client was late: the run does not count. */
  readonly lagP99Ms: number;
  readonly lagged: boolean;
}

export function figuresOf(records: readonly RequestRecord[]): Figures {
  const answered = records.filter((r) => r.status === 200);
  const latencies = answered.map((r) => r.lagMs + r.latencyMs);
  const inTime = answered.filter((r) => r.lagMs + r.latencyMs <= DEADLINE_MS);
  const { p50, p99 } = quantiles(latencies);
  const lagP99Ms = quantiles(records.map((r) => r.lagMs)).p99;
  const right = (some: readonly RequestRecord[]) => some.filter((r) => r.correct).length;
  return {
    arrivals: records.length,
    rightInTime: right(inTime) / records.length,
    inTime: inTime.length / records.length,
    answered: answered.length / records.length,
    accuracy: orNull(right(answered) / answered.length),
    p50Ms: orNull(p50),
    p99Ms: orNull(p99),
    refused: counts(records.filter((r) => r.status !== 200).map((r) => `${r.status} ${r.reason}`)),
    lagP99Ms,
    lagged: lagP99Ms > MOST_LAG_MS,
  };
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);

export interface Run {
  readonly server: string;
  readonly trace: string;
  readonly round: number;
  readonly figures: Figures;
  /** The client lagged, or the host did other things as well. */
  readonly doubtful: boolean;
}

const SUMMED = ['rightInTime', 'inTime', 'answered', 'accuracy', 'p50Ms', 'p99Ms'] as const;
export type TraceSummary = { readonly trace: string } & Readonly<Record<(typeof SUMMED)[number], Spread>>;

/** A server on one trace over its rounds. Doubtful runs are left out; where there is no other, n is 0. */
export function summarise(runs: readonly Run[], server: string, trace: string): TraceSummary {
  const sound = runs.filter((r) => r.server === server && r.trace === trace && !r.doubtful);
  const spreads = SUMMED.map((figure) => {
    const values = sound.map((r) => r.figures[figure]).filter((v) => v !== null);
    return [figure, spreadOf(values)] as const;
  });
  return { trace, ...(Object.fromEntries(spreads) as Record<(typeof SUMMED)[number], Spread>) };
}

/** The setting with the largest mean share right and in time over what it was tried on; the first of equals. */
export function bestOf<T extends { readonly rightInTime: number }>(tried: readonly [T, ...T[]]): T {
  return tried.reduce((best, next) => (next.rightInTime > best.rightInTime ? next : best));
}

export interface Finding {
  readonly trace: string;
  readonly peer: string;
  readonly holds: boolean;
  /** Medians of the share right and in time. */
  readonly ours: number;
  readonly theirs: number;
  /** How much lower ours may be. */
  readonly margin: number;
}

/** One point in a hundred: the answers of a run of a few seconds differ by about as much by chance. */
const MARGIN = 0.01;
/** Of rounding: shares that are equal but for it are equal. */
const EPSILON = 1e-9;

/** Ours against each peer on each trace. A comparison without sound runs does not hold. */
export function findings(
  runs: readonly Run[],
  ours: string,
  peers: readonly string[],
  traces: readonly string[],
): Finding[] {
  return traces.flatMap((trace) => {
    const medianOf = (server: string) => summarise(runs, server, trace).rightInTime.median;
    return peers.map((peer): Finding => {
      const [own, theirs] = [medianOf(ours), medianOf(peer)];
      return { trace, peer, holds: own - theirs >= -MARGIN - EPSILON, ours: own, theirs, margin: MARGIN };
    });
  });
}
