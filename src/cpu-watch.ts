/**
 * Samples the CPU time of this service and of the whole host at regular intervals, for CpuShare (scheduler/cpus.ts).
 */
import { cpus } from 'node:os';
import { hostCpuMs, processCpuMs } from './runtime/cpu-time.js';
import type { CpuSample, CpuShare } from './scheduler/cpus.js';

/**
 * Time between samples: long enough for a few hundred pictures at full load, short enough to follow changes of the
 * load.
 */
const SAMPLE_MS = 250;

/** Counters at one moment; the difference of two readings is a sample. */
export interface CpuReading extends Omit<CpuSample, 'wallMs'> {
  readonly nowMs: number;
}

/**
 * Makes the function that reads the counters. ours: CPUs that this service may use. spent: arrivals so far, and CPU
 * time that decoding and networks should have taken by the latency model. decodersMs: CPU ms used by decoding
 * processes, which count as this service's.
 */
export const readingHost =
  (
    now: () => number,
    ours: number,
    spent: () => { arrivals: number; plannedMs: number },
    decodersMs: () => number = () => 0,
  ) =>
  (): CpuReading => ({
    nowMs: now(),
    serviceMs: processCpuMs() + decodersMs(),
    // If this service may use only some CPUs, it is unknown on which ones other programs run, so they are not counted.
    hostMs: ours === cpus().length ? hostCpuMs() : undefined,
    ...spent(),
  });

/** The sample between two readings. */
export function sampleBetween(before: CpuReading, now: CpuReading): CpuSample {
  return {
    wallMs: now.nowMs - before.nowMs,
    serviceMs: now.serviceMs - before.serviceMs,
    plannedMs: now.plannedMs - before.plannedMs,
    arrivals: now.arrivals - before.arrivals,
    hostMs: now.hostMs === undefined || before.hostMs === undefined ? undefined : now.hostMs - before.hostMs,
  };
}

/** Samples at regular intervals; returns the timer. every: setInterval; tests pass their own. */
export function watchCpus(
  share: Pick<CpuShare, 'update'>,
  read: () => CpuReading,
  every: (work: () => void, ms: number) => NodeJS.Timeout = setInterval,
): NodeJS.Timeout {
  let before = read();
  return every(() => {
    const now = read();
    share.update(sampleBetween(before, now));
    before = now;
  }, SAMPLE_MS).unref();
}
