/** Whether this host was busy with other things while something was measured. */
import { readFileSync } from 'node:fs';
import { tickMs, treeCpuMs } from './processes.js';

/** More than this and figures are not of the service alone. */
export const MOST_FOREIGN_CPUS = 0.1;

export interface Busy {
  readonly atMs: number;
  /** ms of CPU that this host spent on anything, and that its own host took from it. */
  readonly allMs: number;
  /** Of it, by one process and those that it started. */
  readonly ownMs: number;
}

/** Undefined where there is no /proc. */
export function busyNow(pid: number): Busy | undefined {
  if (process.platform !== 'linux') return undefined;
  const host = readFileSync('/proc/stat', 'utf8');
  return { atMs: performance.now(), allMs: hostTicks(host) * tickMs(), ownMs: treeCpuMs(pid) };
}

/** text: /proc/stat; its first line has user, nice, system, idle, iowait, irq, softirq, steal, and parts of these. */
export function hostTicks(text: string): number {
  const ticks = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1, 9).map(Number);
  return ticks.reduce((sum, t, place) => (place === 3 || place === 4 ? sum : sum + t), 0);
}

/** CPUs, on average, that went neither to the process nor to those that took `knownShare` of one CPU. */
export function foreignCpus(from: Busy | undefined, to: Busy | undefined, knownShare: number): number | undefined {
  if (!from || !to) return undefined;
  const cpus = (to.allMs - from.allMs - (to.ownMs - from.ownMs)) / (to.atMs - from.atMs) - knownShare;
  return Number(Math.max(0, cpus).toFixed(3));
}
