/** Tells `CpuShare` every moment what was used since the last: by this service and by others. */
import { cpus } from 'node:os';
import { hostCpuMs, processCpuMs } from './runtime/cpu-time.js';
import type { CpuSample, CpuShare } from './scheduler/cpus.js';

/** Long enough for a few hundred pictures at full load, short enough to follow a changing day. */
const SAMPLE_MS = 250;

/** All that is counted since some start. */
export interface CpuReading extends Omit<CpuSample, 'wallMs'> {
  readonly nowMs: number;
}

/**
 * Reads what this host says. ours: the CPUs this service may use. spent: by decoding and networks, as the latency model
 * has it. decodersMs: ms of one CPU by decoding processes, which belong to this service.
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
    // What others use of CPUs that are not ours takes nothing from us, and which they use is not told.
    hostMs: ours === cpus().length ? hostCpuMs() : undefined,
    ...spent(),
  });

export function between(before: CpuReading, now: CpuReading): CpuSample {
  return {
    wallMs: now.nowMs - before.nowMs,
    serviceMs: now.serviceMs - before.serviceMs,
    plannedMs: now.plannedMs - before.plannedMs,
    arrivals: now.arrivals - before.arrivals,
    hostMs: now.hostMs === undefined || before.hostMs === undefined ? undefined : now.hostMs - before.hostMs,
  };
}

/** Returns the timer that repeats it. every: tests put another in its place. */
export function watchCpus(
  share: Pick<CpuShare, 'update'>,
  read: () => CpuReading,
  every: (work: () => void, ms: number) => NodeJS.Timeout = setInterval,
): NodeJS.Timeout {
  let before = read();
  return every(() => {
    const now = read();
    share.update(between(before, now));
    before = now;
  }, SAMPLE_MS).unref();
}
