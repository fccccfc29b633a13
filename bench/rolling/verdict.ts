/** What came of the requests during a rolling restart, and whether that is what it should be. Pure. */
import type { TimedAnswer } from '../../src/load/answer.js';
import { counts, type Quantiles, quantiles } from '../../src/load/statistics.js';

export interface Restart {
  readonly replica: string;
  /** When it was sent SIGTERM, in ms from the first request. */
  readonly atMs: number;
  /** From SIGTERM to the end of the process. */
  readonly endedMs: number;
  /** Status with which the process ended; null after a signal that killed it. */
  readonly exitCode: number | null;
  /** From the start of the new process until the balancer gave it requests. */
  readonly backMs: number;
}

export interface Verdict {
  readonly requests: number;
  readonly failed: number;
  /** Restarts that began and ended while requests came. */
  readonly restartsUnderLoad: number;
  /** Outcomes, as `status reason`, the most frequent first. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The first failed ones: when they were sent, in ms, and what came of them. */
  readonly failures: readonly { readonly atMs: number; readonly outcome: string }[];
  /** By the client's clock, of answers. */
  readonly latencyMs: Quantiles;
  /** What is wrong; nothing, if the bench holds. */
  readonly wrong: readonly string[];
}

/** So many failures are shown. */
const SHOWN = 20;

interface Demands {
  /** How many requests there must have been. */
  readonly leastRequests: number;
  readonly drainTimeoutMs: number;
  /** Every one of them must have been restarted while requests came. */
  readonly replicas: readonly string[];
}

const outcomeOf = ({ status, reason }: TimedAnswer) => `${status} ${reason}`;

export function verdictOf(
  records: readonly TimedAnswer[],
  restarts: readonly Restart[],
  { leastRequests, drainTimeoutMs, replicas }: Demands,
): Verdict {
  const failures = records
    .filter(({ status, reason }) => status !== 200 || reason !== 'ok')
    .map((r) => ({ atMs: Math.round(r.scheduledMs), outcome: outcomeOf(r) }));
  const lastMs = records.at(-1)?.scheduledMs ?? 0;
  const underLoad = restarts.filter(({ atMs, endedMs, backMs }) => atMs + endedMs + backMs <= lastMs);
  const untouched = replicas.filter((name) => !underLoad.some(({ replica }) => replica === name));
  const wrong = [
    ...(failures.length > 0 ? [`${failures.length} requests failed`] : []),
    ...(records.length < leastRequests ? [`only ${records.length} requests, not ${leastRequests}`] : []),
    ...untouched.map((name) => `${name} was never restarted while requests came`),
    ...restarts.filter((r) => r.exitCode !== 0).map((r) => `${r.replica} ended with status ${r.exitCode}`),
    ...restarts
      .filter((r) => r.endedMs > drainTimeoutMs)
      .map((r) => `${r.replica} took ${Math.round(r.endedMs)} ms to end, more than DRAIN_TIMEOUT_MS=${drainTimeoutMs}`),
  ];
  return {
    requests: records.length,
    failed: failures.length,
    restartsUnderLoad: underLoad.length,
    outcomes: counts(records.map(outcomeOf)),
    failures: failures.slice(0, SHOWN),
    latencyMs: quantiles(records.filter((r) => r.status === 200).map((r) => r.latencyMs)),
    wrong,
  };
}
