/** Data of waiting and running decodes. */
import type { ResizeRule } from '../family/instance.js';
import type { DecodingProcess } from './process.js';

export interface DecodeOptions {
  /** Whether the decode is expected to take long (a photograph). Long decodes leave one place to short ones. */
  readonly long: boolean;
  /** Aborted when the result is no longer needed. */
  readonly signal: AbortSignal;
}

export interface Decoded {
  /** Decoded RGB, uint8 [crop, crop, 3]. */
  readonly pixels: Uint8Array;
  /** Wall time from sending the picture to a process to receiving its pixels. */
  readonly ms: number;
}

/** A picture that is to be decoded. */
export interface Job {
  readonly bytes: Uint8Array;
  readonly rule: ResizeRule;
  long: boolean;
  /** Memory that the decode needs if that is more than USUAL_BYTES; else 0. */
  largeBytes: number;
  /** How many processes died while they decoded this picture. */
  deaths: number;
  /** Whether its promise is settled, so that the result is no longer needed. */
  settled: boolean;
  resolve(decoded: Decoded): void;
  reject(error: Error): void;
}

/** A decode that is running. */
export interface Run {
  readonly job: Job;
  readonly process: DecodingProcess;
  readonly startMs: number;
  /** Whether the decode has taken so long that it freed its place for another one. */
  slow: boolean;
  cancelTimer: () => void;
}
