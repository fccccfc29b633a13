/** Summarises the records of one run of a load test. Pure. */
import type { TimedAnswer } from './answer.js';
import { counts, mean, type Quantiles, quantiles, sum } from './statistics.js';

/** Top-1 accuracy, in 0 to 1, by instance id. */
export type Profile = Readonly<Record<string, number>>;

/** Reasons of a refusal at admission; any other reason means that an admitted request failed. */
const REFUSED = new Set(['overloaded', 'deadline-unattainable', 'infeasible-budget', 'quota-exceeded', 'not-ready']);

/**
 * Largest allowed delay of requests against their schedule (p99); a run with more is void. Timers of Node alone are
 * up to 1 ms late. A delay of more than twice that means that the client had too little CPU.
 */
export const MOST_LAG_MS = 2;

export interface Summary {
  readonly arrivals: number;
  /** Share of arrivals that are answered in time, by the service's clock. */
  readonly attainment: number;
  /** Share of arrivals that are answered in time by the client's clock, from the scheduled time of the request. */
  readonly attainmentClient: number;
  /** Utility by the profile: sum of the profiled top-1 of the instances behind answers in time, over all arrivals. */
  readonly uProfiled: number;
  /** Utility by the labels: share of arrivals that are answered in time and right. */
  readonly uMeasured: number;
  /** Number of answers after their deadline. */
  readonly late: number;
  /** Number of requests refused at admission, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Number of requests admitted and not answered, or without any answer, by reason. */
  readonly failed: Readonly<Record<string, number>>;
  /** Share of the admitted requests that are answered in time. */
  readonly promiseKept: number;
  /** Latency of answers by the client's clock, from the first byte sent to the last received. */
  readonly clientMs: Quantiles;
  /** Latency of answers by the client's clock, from the scheduled time of the request. */
  readonly scheduledMs: Quantiles;
  /** Latency of answers by the service's clock (`totalMs`). */
  readonly serverMs: Quantiles;
  /** Mean share of the FLOPs of `full`, over all answers. */
  readonly meanShare: number;
  /** Over all answers: mean profiled top-1 of their instances, and share of right answers. */
  readonly deliveredAccuracy: { readonly profiled: number; readonly measured: number };
  /** Answers by instance, the most used first. */
  readonly instances: Readonly<Record<string, number>>;
  readonly lagMs: Quantiles;
  /** The client lagged by more than MOST_LAG_MS; the run does not count. */
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

/** Status 200 with a body that can be read. */
const isAnswer = ({ status, reason }: TimedAnswer) => status === 200 && reason === 'ok';

function top1(profile: Profile, instance: string | undefined): number {
  const known = profile[instance ?? ''];
  if (known === undefined) throw new Error(`there is no accuracy of ${instance}`);
  return known;
}
