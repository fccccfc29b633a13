/** What crosses the border to the generator's process: a job as JSON in, its records as JSON out. */

import type { Peer } from '../peers/protocols.js';

export interface Picture {
  readonly file: string;
  /** The true one, an index into the family's labels. */
  readonly label: number;
}

/** A client that goes away before it has its answer. */
export interface Leaver {
  /** Connects and sends nothing; sends half of the picture; sends all of it and does not wait for the answer. */
  readonly moment: 'before' | 'upload' | 'waiting';
  /** How long it stays after what it has sent. */
  readonly afterMs: number;
}

export interface Job {
  readonly url: string;
  /** Another server than dimmer, with bodies and answers of its own. */
  readonly peer?: Peer;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the closed loop. */
  readonly closedHeaders: Readonly<Record<string, string>>;
  /** Sent in turn, from the first on again after the last. */
  readonly pictures: readonly Picture[];
  /** First a closed loop, so many requests always in flight: warms up, and tells how many a second are answered. */
  readonly closed: { readonly connections: number; readonly ms: number };
  /** Then an open loop: each request at its time from the start, whether or not there were answers. May be empty. */
  readonly arrivalsMs: readonly number[];
  /** By position in arrivalsMs: the clients that go away. */
  readonly leavers?: Readonly<Record<number, Leaver>>;
  /** Answers later than this have failed. */
  readonly timeoutMs: number;
  /** Where the outcome is written. */
  readonly out: string;
}

export interface Answer {
  /** HTTP; 0 if none came. */
  readonly status: number;
  /** From the first byte sent to the last received, by the client's clock. */
  readonly latencyMs: number;
  /** From the same to the answer's head; missing if none came. */
  readonly headMs?: number;
  /** `ok`, the code of the problem, or what went wrong where no answer came. */
  readonly reason: string;
  readonly instance?: string;
  readonly share?: number;
  readonly met?: boolean;
  /** The service's clock: from the last body byte to the answer. */
  readonly totalMs?: number;
  readonly correct?: boolean;
}

export interface RequestRecord extends Answer {
  readonly scheduledMs: number;
  /** How much later than scheduled it was sent. */
  readonly lagMs: number;
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
