/** Pure: what the records of one overload come to. */

import { counts, mean, type Quantiles, quantiles } from '../../src/load/statistics.js';
import type { RequestRecord } from '../load/job.js';

export interface Window {
  readonly latencyMs: number;
  /** How long requests arrived. */
  readonly durationMs: number;
  /** How long the service lets a picture with strict=?0 wait before it refuses it. */
  readonly maxWaitMs: number;
}

export interface Summary {
  readonly arrivals: number;
  /**
   * Answers within the deadline that were read while requests arrived, a second. `service`: by its `totalMs`, from the
   * last body byte read to the answer, which is the clock of the contract and counts. `client`: from when the request
   * should have been sent to the answer's last byte.
   */
  readonly inTimePerS: { readonly service: number; readonly client: number };
  /** Answers within the deadline over all arrivals, by the service's clock. */
  readonly attainment: number;
  /** Answers after the deadline, by the service's clock. */
  readonly late: number;
  /** Answers whose `met` does not say what their `totalMs` does. */
  readonly wronglyMet: number;
  /** Admitted, never run (504). */
  readonly expired: number;
  /** Refused, by code (503, 422, 429). */
  readonly refused: Readonly<Record<string, number>>;
  /** No answer, or a fault: status and reason. */
  readonly failed: Readonly<Record<string, number>>;
  /** From the start of the request to the head of the refusal; of those refused at once. */
  readonly refusalMs: Quantiles;
  /** With strict=?0 only: refused after the longest wait, as the contract says. */
  readonly refusedAfterWaiting: number;
  /** How much later than it should the client began to send. */
  readonly lagMs: Quantiles;
  readonly serverMs: Quantiles;
  readonly clientMs: Quantiles;
  /** Mean accuracy of the instances behind answers in time. */
  readonly deliveredAccuracy: number;
  readonly instances: Readonly<Record<string, number>>;
}

const REFUSALS = [422, 429, 503];

/** accuracies: by instance id, of all that may answer. */
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
