/** Compares the answers that clients read with the requests that the service counted. Pure. */

import { counts } from '../../src/load/statistics.js';
import type { RequestRecord } from '../load/job.js';
import { type Sample, total } from '../load/metrics.js';

export interface Account {
  readonly status: string;
  readonly reason: string;
  /** Number of answers that clients read, also clients that disconnected afterwards. */
  readonly clients: number;
  /** Number of requests that the service counted. */
  readonly service: number;
}

export interface Accounts {
  readonly sent: number;
  /** Number of requests without an HTTP answer though the client stayed connected, by the error. */
  readonly unanswered: Readonly<Record<string, number>>;
  /** Number of clients that disconnected before an answer, by the moment (`Leaver`). */
  readonly left: Readonly<Record<string, number>>;
  readonly lines: readonly Account[];
  /** Requests that the service counted minus answers that were read: those of clients that had disconnected. */
  readonly countedForLeft: number;
  /** Failed checks, as messages. */
  readonly wrong: readonly string[];
}

/** deadlineMs: latency in the budget of every request. samples: what the service counted for exactly these records. */
export function accounts(records: readonly RequestRecord[], samples: readonly Sample[], deadlineMs: number): Accounts {
  const answered = records.filter((r) => r.status !== 0);
  const silent = records.filter((r) => r.status === 0);
  const left = counts(silent.flatMap((r) => r.left ?? []));
  const unanswered = counts(silent.flatMap((r) => (r.left ? [] : [r.reason])));
  const lines = linesOf(answered, samples);
  const countedForLeft = lines.reduce((sum, { service, clients }) => sum + service - clients, 0);
  const sentAndLeft = (left.upload ?? 0) + (left.waiting ?? 0);
  const late = answered.filter((r) => r.status === 200 && r.met !== (r.totalMs as number) <= deadlineMs);
  const kept = total(samples, 'dimmer_promises_total', { kept: 'true' });
  const inTime = answered.filter((r) => r.status === 200 && (r.totalMs as number) <= deadlineMs).length;
  const wrong = [
    ...Object.entries(unanswered).map(([reason, n]) => `${n} clients stayed and got no answer: ${reason}`),
    ...lines.filter((l) => l.service < l.clients).map((l) => `${l.status} ${l.reason}: read more often than counted`),
    ...lines
      .filter((l) => l.service > l.clients && l.reason !== 'client-gone' && l.service - l.clients > sentAndLeft)
      .map((l) => `${l.status} ${l.reason}: counted more often than clients can have left`),
    ...differ('requests of clients that left', sentAndLeft, countedForLeft),
    ...(late.length ? [`${late.length} answers say the wrong thing about their deadline`] : []),
    ...(kept < inTime || kept > inTime + sentAndLeft ? [`${kept} promises counted as kept, ${inTime} were`] : []),
  ];
  return { sent: records.length, unanswered, left, lines, countedForLeft, wrong };
}

function differ(what: string, sent: number, counted: number): string[] {
  return sent === counted ? [] : [`${what}: ${sent} sent, ${counted} counted`];
}

function linesOf(answered: readonly RequestRecord[], samples: readonly Sample[]): Account[] {
  const read = counts(answered.map((r) => `${r.status} ${r.reason}`));
  const counted = samples.filter((s) => s.name === 'dimmer_requests_total');
  const keys = new Set([...Object.keys(read), ...counted.map((s) => `${s.labels.status} ${s.labels.reason}`)]);
  return [...keys].sort().map((key) => {
    const [status, reason] = key.split(' ') as [string, string];
    const service = total(counted, 'dimmer_requests_total', { status, reason });
    return { status, reason, clients: read[key] ?? 0, service };
  });
}

/** Number of requests that the service counted, by `status reason`. */
export function countedBy(samples: readonly Sample[]): Record<string, number> {
  const counted = samples.filter((s) => s.name === 'dimmer_requests_total' && s.value > 0);
  return Object.fromEntries(counted.map((s) => [`${s.labels.status} ${s.labels.reason}`, s.value]));
}

/**
 * Differences between answers read and requests counted, as messages. read, counted: numbers by `status reason`. left:
 * number of clients that disconnected early; the service may have counted each of them once or not at all.
 */
export function unaccounted(
  read: Readonly<Record<string, number>>,
  counted: Readonly<Record<string, number>>,
  left: number,
): string[] {
  const keys = new Set([...Object.keys(counted), ...Object.keys(read).filter((key) => /^\d/.test(key))]);
  const surplus = [...keys].map((key) => [key, (counted[key] ?? 0) - (read[key] ?? 0)] as const);
  const beyond = surplus.reduce((sum, [, n]) => sum + Math.max(0, n), 0);
  return [
    ...surplus.flatMap(([key, n]) => (n < 0 ? [`${key}: read ${-n} times more than counted`] : [])),
    ...(beyond > left ? [`${beyond} counted beyond what was read, ${left} left`] : []),
  ];
}

/** Bytes or pictures that the service still holds although no request is left, as a message. */
export function stillHeld(samples: readonly Sample[]): string[] {
  const held = { bytes: total(samples, 'dimmer_waiting_bytes'), queued: total(samples, 'dimmer_queue_pictures') };
  return held.bytes || held.queued ? [`held after the end: ${JSON.stringify(held)}`] : [];
}
