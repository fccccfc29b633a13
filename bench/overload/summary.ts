/** Summarises the records of one overload run. Pure. */

import { counts, mean, type Quantiles, quantiles } from '../../src/load/statistics.js';
import type { RequestRecord } from '../load/job.js';

export interface Window {
  readonly latencyMs: number;
  /** Length of the open loop. */
  readonly durationMs: number;
  /** MAX_WAIT_MS of the service: longest wait of a picture with strict=?0 before it is refused. */
  readonly maxWaitMs: number;
}

export interface Summary {
  readonly arrivals: number;
  /**
   * Goodput: answers in time a second, without those after the end of the open loop. `service`: by `totalMs`, from the
   * last byte of the body to the answer; this is the figure that is judged. `client`: from the scheduled time of the
   * request to the last byte of the answer.
   */
  readonly inTimePerS: { readonly service: number; readonly client: number };
  /** Share of arrivals that are answered in time, by the service's clock. */
  readonly attainment: number;
  /** Number of answers after the deadline, by the service's clock. */
  readonly late: number;
  /** Number of answers whose `met` contradicts their `totalMs`. */
  readonly wronglyMet: number;
  /** Number of requests that were admitted and never run (504). */
  readonly expired: number;
  /** Number of refusals (503, 422, 429) by the code of the problem. */
  readonly refused: Readonly<Record<string, number>>;
  /** Number of requests without an answer or with another status, by status and reason. */
  readonly failed: Readonly<Record<string, number>>;
  /** From the start of the request to the head of the refusal, without refusals after waiting. */
  readonly refusalMs: Quantiles;
  /** Number of refusals after a wait of MAX_WAIT_MS; only with strict=?0. */
  readonly refusedAfterWaiting: number;
  /** Delay of the requests against their schedule. */
  readonly lagMs: Quantiles;
  readonly serverMs: Quantiles;
  readonly clientMs: Quantiles;
  /** Mean accuracy of the instances behind answers in time. */
  readonly deliveredAccuracy: number;
  readonly instances: Readonly<Record<string, number>>;
}

const REFUSALS = [422, 429, 503];

/** accuracies: by instance id, of every instance of the family. */
export function summarise(
  records: readonly RequestRecord[],
  accuracies: ReadonlyMap<string, number>,
  { latencyMs, durationMs, maxWaitMs }: Window,
): Summary {
  const answered = records.filter((r) => r.status === 200);
  const inTime = answered.filter((r) => (r.totalMs as number) <= latencyMs);
  const meanwhile = (r: RequestRecord) => r.scheduledMs + r.lagMs + r.latencyMs <= durationMs;
  const perS = (some: readonly RequestRecord[]) => some.filter(meanwhile).length / (durationMs / 1000);
  const expired = records.filter((r) => r.status === 504);
  const refused = records.filter((r) => REFUSALS.includes(r.status));
  const atOnce = refused.filter((r) => (r.headMs as number) < maxWaitMs);
  const others = records.filter((r) => r.status !== 200 && r.status !== 504 && !REFUSALS.includes(r.status));
  return {
    arrivals: records.length,
    inTimePerS: {
      service: perS(inTime),
      client: perS(answered.filter((r) => r.lagMs + r.latencyMs <= latencyMs)),
    },
    attainment: inTime.length / records.length,
    late: answered.length - inTime.length,
    wronglyMet: answered.filter((r) => r.met !== (r.totalMs as number) <= latencyMs).length,
    expired: expired.length,
    refused: counts(refused.map((r) => r.reason)),
    failed: counts(others.map((r) => `${r.status} ${r.reason}`)),
    refusalMs: quantiles(atOnce.map((r) => r.headMs as number)),
    refusedAfterWaiting: refused.length - atOnce.length,
    lagMs: quantiles(records.map((r) => r.lagMs)),
    serverMs: quantiles(answered.map((r) => r.totalMs as number)),
    clientMs: quantiles(answered.map((r) => r.latencyMs)),
    deliveredAccuracy: mean(inTime.map((r) => accuracies.get(r.instance as string) ?? Number.NaN)),
    instances: counts(answered.map((r) => r.instance as string)),
  };
}

export const sumOf = (numbers: Readonly<Record<string, number>>): number =>
  Object.values(numbers).reduce((a, b) => a + b, 0);
