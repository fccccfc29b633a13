/** What a request asks of the scheduler, and what it gets. */
import type { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import type { Expected } from '../policy/admission.js';
import { rankOf } from '../policy/picture.js';

/** Kept back from a deadline for what comes after the logits: softmax, JSON, the socket. */
export const ANSWER_MS = 2;

/** What a request asks of the scheduler for each of its pictures. */
export interface Order {
  readonly allowed: readonly Instance[];
  /** When the request was wholly read, in the clock's ms. */
  readonly startMs: number;
  /** The answer's deadline; undefined for none. */
  readonly latencyMs: number | undefined;
  readonly strict: boolean;
  readonly late: boolean;
}

/** When the logits must be there; Infinity if there is no promise. */
export const deadlineOf = ({ startMs, latencyMs }: Order): number =>
  latencyMs === undefined ? Number.POSITIVE_INFINITY : startMs + latencyMs - ANSWER_MS;

/** Its place among those that wait, if it comes now. */
export const rankOfOrder = (order: Order, arrivalMs: number): number =>
  rankOf({ late: order.late, deadlineMs: deadlineOf(order), arrivalMs });

/**
 * When one that is not strict is told that it waits no longer: nothing else bounds how often others go before it. A
 * latency that is longer is what its client is ready to wait.
 */
export const giveUpOf = ({ strict, startMs, latencyMs = 0 }: Order, maxWaitMs: number): number =>
  strict ? Number.POSITIVE_INFINITY : startMs + Math.max(maxWaitMs, latencyMs);

export interface Outcome {
  readonly instance: Instance;
  /** [classes] float32 */
  readonly logits: Float32Array;
  readonly batchSize: number;
  readonly queueMs: number;
  readonly inferenceMs: number;
  /** From the start of the request to its logits, as predicted at dispatch. */
  readonly predictedMs: number;
}

/** Of a request that was admitted, for its pictures that are not in the queue yet. */
export interface Reservation extends Expected {
  places: number;
  /** Infinity if it has none. */
  readonly deadlineMs: number;
}

/** When the last picture with a deadline is due; -Infinity if there is none. */
export function lastDueMs(reservations: Iterable<Reservation>): number {
  let last = Number.NEGATIVE_INFINITY;
  for (const { places, deadlineMs } of reservations)
    if (places > 0 && deadlineMs > last && deadlineMs !== Number.POSITIVE_INFINITY) last = deadlineMs;
  return last;
}

/** A request that was admitted and whose pictures are not all in the queue yet. */
export interface Admission {
  /** After this, in the clock's ms, it is too late to begin: decoding would be for nothing. Infinity if it never is. */
  readonly lastStartMs: number;
  /** DimmerError deadline-exceeded, or overloaded if not strict, for pictures that were not decoded by then. */
  expired(): DimmerError;
  /** Puts one decoded picture into the queue. Rejects with DimmerError, or with the signal's reason. */
  submit(pixels: Uint8Array, signal: AbortSignal): Promise<Outcome>;
  /** Gives back the places of pictures that were not submitted; to be called once, whatever happened. */
  end(): void;
}
