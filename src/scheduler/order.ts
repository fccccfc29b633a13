/** Input and output of the scheduler for one request. */
import type { Instance, ResizeRule } from '../family/instance.js';
import type { Passage } from './passage.js';

/** ms reserved before the end of the latency for the work after the logits: softmax, JSON, the socket. */
export const ANSWER_MS = 2;

/** Limits of a request, which hold for each of its pictures. */
export interface Order {
  /** Instances that may answer the request: most accurate first, never empty. */
  readonly allowed: readonly Instance[];
  /** Name of the family of these instances. */
  readonly family: string;
  readonly resize: ResizeRule;
  /** When the last byte of the request was read, in the clock's ms. */
  readonly startMs: number;
  /** ms from startMs within which the answer is due; undefined for no deadline. */
  readonly latencyMs: number | undefined;
  readonly strict: boolean;
  /** Not strict, and already known to miss its latency on any allowed instance. */
  readonly bestEffort: boolean;
}

/** The pictures of a request. */
export interface Pictures {
  /** Encoded, at least one. */
  readonly images: readonly Uint8Array[];
  /** Aborted when the client has disconnected. */
  readonly signal: AbortSignal;
  /**
   * Called once when all pictures are decoded and their encoded bytes can be freed; not called if one of them fails.
   */
  decoded(): void;
  /** Called with its instance for each picture that a network has run, whatever becomes of the request. */
  ran?(instance: Instance): void;
  /** Called once the request is admitted, with a record of each picture's way that is kept up to date. For traces. */
  admitted?(passages: readonly Passage[]): void;
}

/** Result for one picture. */
export interface Outcome {
  readonly instance: Instance;
  /** Outputs of the network, float32 [classes]. */
  readonly logits: Float32Array;
  readonly batchSize: number;
  readonly decodeMs: number;
  /** Time in the queue, before and after decoding. */
  readonly queueMs: number;
  readonly inferenceMs: number;
  /** Time from Order.startMs to the logits, as predicted when the run was dispatched. */
  readonly predictedMs: number;
}

/** When the logits must be ready, in the clock's ms; Infinity if there is no deadline. */
export const deadlineOf = ({ startMs, latencyMs }: Pick<Order, 'startMs' | 'latencyMs'>): number =>
  latencyMs === undefined ? Number.POSITIVE_INFINITY : startMs + latencyMs - ANSWER_MS;

/**
 * When a request that is not strict is refused because it has waited too long, in the clock's ms; Infinity if it is
 * strict. Without this limit a best effort picture could wait for ever behind others. The limit is the request's
 * latency, or maxWaitMs (MAX_WAIT_MS) if that is longer.
 */
export const giveUpOf = ({ strict, startMs, latencyMs = 0 }: Order, maxWaitMs: number): number =>
  strict ? Number.POSITIVE_INFINITY : startMs + Math.max(maxWaitMs, latencyMs);
