/** When a picture passed which stage. For traces, which need times, where metrics need durations. */
import type { Instance } from '../family/instance.js';

/** A stage, in the clock's ms. endMs: undefined while it lasts. */
export class Stay {
  readonly startMs: number;
  endMs: number | undefined;
  failed = false;

  constructor(startMs: number) {
    this.startMs = startMs;
  }

  end(nowMs: number, failed = false): void {
    this.endMs = nowMs;
    this.failed = failed;
  }
}

/** A run, which all pictures of its batch share. */
export class BatchStay extends Stay {
  readonly instance: Instance;
  /** Number of pictures. */
  readonly size: number;
  /** Counts the batches since the start, so that the spans of one batch can be found. */
  readonly batch: number;

  constructor(startMs: number, instance: Instance, size: number, batch: number) {
    super(startMs);
    this.instance = instance;
    this.size = size;
    this.batch = batch;
  }
}

/** The way of one picture. Between its stages it waits. */
export interface Passage {
  readonly arrivalMs: number;
  decode: Stay | undefined;
  run: BatchStay | undefined;
}
