/** Summarises the records of one run of a load test. Pure. */
import type { RequestRecord } from './job.js';
import { mean, type Profile } from './profile.js';

/** Reasons of a refusal at admission; any other reason means that an admitted request failed. */
const REFUSED = new Set(['overloaded', 'deadline-unattainable', 'infeasible-budget', 'quota-exceeded', 'not-ready']);

/** Largest allowed delay of requests against their schedule (p99); a run with more is void. */
export const MOST_LAG_MS = 2;

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface Summary {
  readonly arrivals: number;
  /** Share of arrivals that are answered in time, by the service's clock. */
  readonly attainment: number;
  /** The same by the client's clock, from the scheduled time of the request. */
  readonly attainmentClient: number;
  /** Utility by the profile: sum of the profiled top-1 of the instances behind answers in time, over all arrivals. */
  readonly uProfiled: number;
  /** Utility by the labels: share of arrivals that are answered in time and right. */
  readonly uMeasured: number;
  /** Number of answers after their deadline. */
  readonly late: number;
  /** Number of requests refused at admission, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Number of requests admitted and not answered with 200, or without any answer, by reason. */
  readonly failed: Readonly<Record<string, number>>;
  /** Share of the admitted requests that are answered in time. */
  readonly promiseKept: number;
  /** Latency of answers with status 200 by the client's clock, from the first byte sent to the last received. */
  readonly clientMs: Quantiles;
  /** The same by the service's clock (`totalMs`). */
  readonly serverMs: Quantiles;
  /** Mean share of the FLOPs of `full`, over answers with status 200. */
  readonly meanShare: number;
  /** Over answers with status 200: mean profiled top-1 of their instances, and share of right answers. */
  readonly deliveredAccuracy: { readonly profiled: number; readonly measured: number };
  /** Answers by instance, the most used first. */
  readonly instances: Readonly<Record<string, number>>;
  readonly lagMs: Quantiles;
  /** The generator lagged by more than MOST_LAG_MS; the run does not count. */
  readonly void: boolean;
}

/** records: of strict requests with the deadline `deadlineMs` each. profile: top-1 by instance id. */
export function summarise(records: readonly RequestRecord[], profile: Profile, deadlineMs: number): Summary {
  const arrivals = records.length;
  const answered = records.filter((r) => r.status === 200);
  const inTime = answered.filter((r) => r.met);
  const inTimeClient = answered.filter((r) => r.lagMs + r.latencyMs <= deadlineMs);
  const unanswered = records.filter((r) => r.status !== 200);
  const refused = unanswered.filter((r) => REFUSED.has(r.reason));
  const accuracyOf = (r: RequestRecord) => top1(profile, r.instance);
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

function top1(profile: Profile, instance: string | undefined): number {
  const known = profile[instance ?? ''];
  if (known === undefined) throw new Error(`the reference has no accuracy of ${instance}`);
  return known;
}

/** Quantiles by nearest rank; NaN for no values. */
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

/** Median; the mean of the middle two for an even count, NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(half)] ?? Number.NaN) + (sorted[Math.ceil(half)] ?? Number.NaN)) / 2;
}

/** How often each key occurs, the most frequent first. */
export function counts(keys: readonly string[]): Record<string, number> {
  const found = new Map<string, number>();
  for (const key of keys) found.set(key, (found.get(key) ?? 0) + 1);
  return Object.fromEntries([...found].sort(([, a], [, b]) => b - a));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
