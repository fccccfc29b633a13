/** Pure: what the records of one run come to. */
import type { TimedAnswer } from './answer.js';
import { counts, mean, type Quantiles, quantiles, sum } from './statistics.js';

/** Top-1 by instance id. */
export type Profile = Readonly<Record<string, number>>;

/** Reasons with which a request is refused before anything is promised to it; all others fail what was admitted. */
const REFUSED = new Set(['overloaded', 'deadline-unattainable', 'infeasible-budget', 'quota-exceeded', 'not-ready']);

/**
 * A run whose requests were not sent when they should have been says nothing. Timers of Node alone are up to 1 ms late; more
 * than twice that at the 99th percentile, and the client had not the CPU that it needs.
 */
export const MOST_LAG_MS = 2;

export interface Summary {
  readonly arrivals: number;
  /** Answers in time over all arrivals, by the service's clock. */
  readonly attainment: number;
  /** The same by the client's clock, from when the request should have been sent. */
  readonly attainmentClient: number;
  /** Sum of the profiled top-1 of the instances behind answers in time, over all arrivals. */
  readonly uProfiled: number;
  /** Right answers in time over all arrivals. */
  readonly uMeasured: number;
  /** Answers after their deadline. */
  readonly late: number;
  /** By reason: refused at admission. */
  readonly refused: Readonly<Record<string, number>>;
  /** By reason: admitted and not answered, or no answer at all. */
  readonly failed: Readonly<Record<string, number>>;
  /** Of the admitted, the share in time. */
  readonly promiseKept: number;
  /** Of answers with status 200, from first byte sent to last received. */
  readonly clientMs: Quantiles;
  /** Of the same, from when the request should have been sent: what a user of an open system waits. */
  readonly scheduledMs: Quantiles;
  /** Of the same, by the service. */
  readonly serverMs: Quantiles;
  /** Of answers with status 200: mean share of the full FLOPs, mean profiled top-1, share of right ones. */
  readonly meanShare: number;
  readonly deliveredAccuracy: { readonly profiled: number; readonly measured: number };
  /** Answers by instance, the most used first. */
  readonly instances: Readonly<Record<string, number>>;
  readonly lagMs: Quantiles;
  /** The generator was late; the run does not count. */
  readonly void: boolean;
}

/**
 * profile: of every instance that may answer, or Error is raised. deadlineMs: of every request; Infinity where none was
 * named, and then every answer is in time by the client's clock.
 */
export function summarise(records: readonly TimedAnswer[], profile: Profile, deadlineMs: number): Summary {
  const arrivals = records.length;
  const answered = records.filter(isAnswer);
  const inTime = answered.filter((r) => r.met);
  const inTimeClient = answered.filter((r) => r.lagMs + r.latencyMs <= deadlineMs);
  const unanswered = records.filter((r) => !isAnswer(r));
  const refused = unanswered.filter((r) => REFUSED.has(r.reason));
  const accuracyOf = (r: TimedAnswer) => top1(profile, r.instance);
  const lagMs = quantiles(records.map((r) => r.lagMs));
  return {
    arrivals,
    attainment: inTime.length / arrivals,
    attainmentClient: inTimeClient.length / arrivals,
    uProfiled: sum(inTime.map(accuracyOf)) / arrivals,
    uMeasured: inTime.filter((r) => r.correct).length / arrivals,
    late: answered.length - inTime.length,
    refused: counts(refused.map((r) => r.reason)),
    failed: counts(unanswered.filter((r) => !refused.includes(r)).map((r) => r.reason)),
    promiseKept: inTime.length / (arrivals - refused.length),
    clientMs: quantiles(answered.map((r) => r.latencyMs)),
    scheduledMs: quantiles(answered.map((r) => r.lagMs + r.latencyMs)),
    serverMs: quantiles(answered.map((r) => r.totalMs as number)),
    meanShare: mean(answered.map((r) => r.share as number)),
    deliveredAccuracy: {
      profiled: mean(answered.map(accuracyOf)),
      measured: mean(answered.map((r) => Number(r.correct))),
    },
    instances: counts(answered.map((r) => r.instance as string)),
    lagMs,
    void: lagMs.p99 > MOST_LAG_MS,
  };
}

/** What has the right status and cannot be read is none. */
const isAnswer = ({ status, reason }: TimedAnswer) => status === 200 && reason === 'ok';

function top1(profile: Profile, instance: string | undefined): number {
  const known = profile[instance ?? ''];
  if (known === undefined) throw new Error(`there is no accuracy of ${instance}`);
  return known;
}
