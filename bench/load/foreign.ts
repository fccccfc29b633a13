/** CPU use of other processes on this host during a measurement. */
import { readFileSync } from 'node:fs';
import { tickMs, treeCpuMs } from './processes.js';

/**
 * CPUs that other processes may use during a measurement; with more, its figures are not those of the service alone.
 */
export const MOST_FOREIGN_CPUS = 0.1;

/** CPU time used up to one moment. */
export interface Busy {
  readonly atMs: number;
  /** CPU ms since boot, summed over all CPUs: of all processes, and what the hypervisor took (steal). */
  readonly allMs: number;
  /** Of these, the CPU ms of one process and its children. */
  readonly ownMs: number;
}

/** Readings for the process `pid` now; undefined without /proc. */
export function busyNow(pid: number): Busy | undefined {
  if (process.platform !== 'linux') return undefined;
  const host = readFileSync('/proc/stat', 'utf8');
  return { atMs: performance.now(), allMs: hostTicks(host) * tickMs(), ownMs: treeCpuMs(pid) };
}

/**
 * Ticks that all CPUs were busy. text: /proc/stat; its first line has user, nice, system, idle, iowait, irq, softirq,
 * steal, and then times of guests, which are contained in the others.
 */
export function hostTicks(text: string): number {
  const ticks = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1, 9).map(Number);
  return ticks.reduce((sum, t, place) => (place === 3 || place === 4 ? sum : sum + t), 0);
}

/**
 * Mean number of CPUs that other processes used between two readings. knownShare: CPUs that the load generator used.
 */
export function foreignCpus(from: Busy | undefined, to: Busy | undefined, knownShare: number): number | undefined {
  if (!from || !to) return undefined;
  const cpus = (to.allMs - from.allMs - (to.ownMs - from.ownMs)) / (to.atMs - from.atMs) - knownShare;
  return Number(Math.max(0, cpus).toFixed(3));
}
