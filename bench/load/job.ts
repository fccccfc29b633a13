/** Data exchanged with the load generator's process: a `Job` as JSON in, an `Outcome` as JSON out. */
import type { TimedAnswer } from '../../src/load/answer.js';
import type { Picture as Sent, Target } from '../../src/load/client.js';
import type { Peer } from '../peers/protocols.js';

/** A picture with its true class, which all pictures of benches have. */
export interface Picture extends Sent {
  readonly label: number;
}

/** A client that disconnects before it has read its answer. */
export interface Leaver {
  /**
   * before: connects and sends nothing. upload: sends half of the picture. waiting: sends all of it, not waiting for
   * the answer.
   */
  readonly moment: 'before' | 'upload' | 'waiting';
  /** Time from its last byte to the disconnection. */
  readonly afterMs: number;
}

export interface Job extends Omit<Target, 'format'> {
  readonly pictures: readonly Picture[];
  /** The protocol of a server other than dimmer; not set for dimmer. */
  readonly peer?: Peer;
  /** Headers of the requests in the closed loop. */
  readonly closedHeaders: Readonly<Record<string, string>>;
  /**
   * First a closed loop with `connections` requests in flight for `ms`: it warms up the service and measures
   * throughput.
   */
  readonly closed: { readonly connections: number; readonly ms: number };
  /** Then an open loop: the time of each request, from the start of the loop. May be empty. */
  readonly arrivalsMs: readonly number[];
  /** The clients that disconnect early, by position in arrivalsMs. */
  readonly leavers?: Readonly<Record<number, Leaver>>;
  /** File for the outcome. */
  readonly out: string;
}

export interface RequestRecord extends TimedAnswer {
  /** Set if this client disconnected early; the other fields hold what it had received by then. */
  readonly left?: Leaver['moment'];
}

export interface Outcome {
  /** Throughput: answers with status 200 a second, in the second half of the closed loop. */
  readonly closedPerS: number;
  /** CPU time of the generator over that half, as a share of one CPU. */
  readonly closedCpuShare: number;
  readonly records: readonly RequestRecord[];
  /** Priority of the generator's process: `real-time` or `normal`. */
  readonly priority: string;
  /** CPU time of the generator during the open loop, as a share of one CPU; the service did not have that CPU time. */
  readonly cpuShare: number;
  /** Largest number of requests in flight. */
  readonly mostInFlight: number;
}

/**
 * Lines that the generator prints. counting: the second half of the closed loop begins, which is measured. started,
 * ended: the open loop begins, and has ended.
 */
export const EVENTS = ['counting', 'started', 'ended'] as const;
export type GeneratorEvent = (typeof EVENTS)[number];
