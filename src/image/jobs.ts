/** Pictures that are to be decoded, and those under way. */
import type { ResizeRule } from '../family/instance.js';
import type { DecodingProcess } from './process.js';

export interface DecodeOptions {
  /** Expected to take long: such ones leave a place to others. */
  readonly long: boolean;
  /** Aborted when nobody waits for the picture any more. */
  readonly signal: AbortSignal;
}

export interface Decoded {
  /** uint8 RGB [crop, crop, 3] */
  readonly pixels: Uint8Array;
  /** From handing the picture to a process to having its pixels. */
  readonly ms: number;
}

export interface Job {
  readonly bytes: Uint8Array;
  readonly rule: ResizeRule;
  long: boolean;
  /** Memory beyond USUAL_BYTES: all of it, or 0. */
  largeBytes: number;
  /** Processes that ended while they decoded it. */
  deaths: number;
  /** Whether its promise is settled: then nobody waits for it. */
  settled: boolean;
  resolve(decoded: Decoded): void;
  reject(error: Error): void;
}

export interface Run {
  readonly job: Job;
  readonly process: DecodingProcess;
  readonly startMs: number;
  slow: boolean;
  cancelTimer: () => void;
}
