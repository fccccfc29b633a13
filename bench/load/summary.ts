/** Pure: what the records of one run come to. */
import type { RequestRecord } from './job.js';
import { mean, type Profile } from './profile.js';

/** Reasons with which a request is refused before anything is promised to it; all others fail what was admitted. */
const REFUSED = new Set(['overloaded', 'deadline-unattainable', 'infeasible-budget', 'quota-exceeded', 'not-ready']);

/** A run whose requests were not sent when they should have been says nothing. */
export const MOST_LAG_MS = 2;

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

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

/** deadlineMs: of every request, all of them strict. */
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

/** By nearest rank; NaN of nothing. */
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

/** Of the middle two the mean, of nothing NaN. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(half)] ?? Number.NaN) + (sorted[Math.ceil(half)] ?? Number.NaN)) / 2;
}

/** The most frequent first. */
export function counts(keys: readonly string[]): Record<string, number> {
  const found = new Map<string, number>();
  for (const key of keys) found.set(key, (found.get(key) ?? 0) + 1);
  return Object.fromEntries([...found].sort(([, a], [, b]) => b - a));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
