/** What a request asks of the scheduler, and what it gets. */
import type { Instance, ResizeRule } from '../family/instance.js';

/** Kept back from a deadline for what comes after the logits: softmax, JSON, the socket. */
export const ANSWER_MS = 2;

/** What a request asks for each of its pictures. */
export interface Order {
  readonly allowed: readonly Instance[];
  /** Name of the family of these instances. */
  readonly family: string;
  readonly resize: ResizeRule;
  /** When the request was wholly read, in the clock's ms. */
  readonly startMs: number;
  /** The answer's deadline; undefined for none. */
  readonly latencyMs: number | undefined;
  readonly strict: boolean;
  /** It cannot be in time whatever happens, and is not strict. */
  readonly bestEffort: boolean;
}

/** Its pictures. */
export interface Pictures {
  /** Encoded, at least one. */
  readonly images: readonly Uint8Array[];
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Called once no encoded picture is needed any more, unless one of them fails. */
  decoded(): void;
}

export interface Outcome {
  readonly instance: Instance;
  /** [classes] float32 */
  readonly logits: Float32Array;
  readonly batchSize: number;
  readonly decodeMs: number;
  /** Waiting, before decoding and after it. */
  readonly queueMs: number;
  readonly inferenceMs: number;
  /** From the start of the request to its logits, as predicted at dispatch. */
  readonly predictedMs: number;
}

/** When the logits must be there; Infinity if there is no deadline. */
export const deadlineOf = ({ startMs, latencyMs }: Pick<Order, 'startMs' | 'latencyMs'>): number =>
  latencyMs === undefined ? Number.POSITIVE_INFINITY : startMs + latencyMs - ANSWER_MS;

/**
 * When one that is not strict is told that it waits no longer: nothing else bounds how often others go before it. A
 * latency that is longer is what its client is ready to wait.
 */
export const giveUpOf = ({ strict, startMs, latencyMs = 0 }: Order, maxWaitMs: number): number =>
  strict ? Number.POSITIVE_INFINITY : startMs + Math.max(maxWaitMs, latencyMs);
