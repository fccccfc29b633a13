/** What crosses the border to the generator's process: a job as JSON in, its records as JSON out. */
import type { TimedAnswer } from '../../src/load/answer.js';
import type { Picture as Sent, Target } from '../../src/load/client.js';

/** With its true label: all pictures of benches have one. */
export interface Picture extends Sent {
  readonly label: number;
}

/** A client that goes away before it has its answer. */
export interface Leaver {
  /** Connects and sends nothing; sends half of the picture; sends all of it and does not wait for the answer. */
  readonly moment: 'before' | 'upload' | 'waiting';
  /** How long it stays after what it has sent. */
  readonly afterMs: number;
}

export interface Job extends Target {
  readonly pictures: readonly Picture[];
  /** Of the closed loop. */
  readonly closedHeaders: Readonly<Record<string, string>>;
  /** First a closed loop, so many requests always in flight: warms up, and tells how many a second are answered. */
  readonly closed: { readonly connections: number; readonly ms: number };
  /** Then an open loop: each request at its time from the start, whether or not there were answers. May be empty. */
  readonly arrivalsMs: readonly number[];
  /** By position in arrivalsMs: the clients that go away. */
  readonly leavers?: Readonly<Record<number, Leaver>>;
  /** Where the outcome is written. */
  readonly out: string;
}

export interface RequestRecord extends TimedAnswer {
  /** Set if this client went away; whatever came before it went is in the other fields. */
  readonly left?: Leaver['moment'];
}

export interface Outcome {
  /** Answers with status 200 a second, in the second half of the closed loop. */
  readonly closedPerS: number;
  /** CPU time of the generator over that half, as a share of one CPU. */
  readonly closedCpuShare: number;
  readonly records: readonly RequestRecord[];
  /** How the process ran: `real-time` or `normal`. */
  readonly priority: string;
  /** CPU time of the generator over the open loop, as a share of one CPU: the service cannot have it. */
  readonly cpuShare: number;
  /** The most requests that waited for their answers at once. */
  readonly mostInFlight: number;
}

/**
 * Lines by which the generator says that the half of its closed loop begins that counts, and that its open loop begins
 * and has ended.
 */
export const EVENTS = ['counting', 'started', 'ended'] as const;
export type GeneratorEvent = (typeof EVENTS)[number];
