/** Whether this host was busy with other things while something was measured. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** More than this and figures are not of the service alone. */
export const MOST_FOREIGN_CPUS = 0.1;

export interface Busy {
  readonly atMs: number;
  /** ms of CPU that this host spent on anything, and that its own host took from it. */
  readonly allMs: number;
  /** Of it, by one process. */
  readonly ownMs: number;
}

/** Undefined where there is no /proc. */
export function busyNow(pid: number): Busy | undefined {
  if (process.platform !== 'linux') return undefined;
  const tickMs = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const [host, own] = ['/proc/stat', `/proc/${pid}/stat`].map((file) => readFileSync(file, 'utf8')) as [string, string];
  return { atMs: performance.now(), allMs: hostTicks(host) * tickMs, ownMs: processTicks(own) * tickMs };
}

/** text: /proc/stat; its first line has user, nice, system, idle, iowait, irq, softirq, steal, and parts of these. */
export function hostTicks(text: string): number {
  const ticks = text.slice(0, text.indexOf('\n')).trim().split(/\s+/).slice(1, 9).map(Number);
  return ticks.reduce((sum, t, place) => (place === 3 || place === 4 ? sum : sum + t), 0);
}

/** text: /proc/<pid>/stat; after the name in brackets come the state and, from the 12th on, user and system time. */
export function processTicks(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** CPUs, on average, that went neither to the process nor to those that took `knownShare` of one CPU. */
export function foreignCpus(from: Busy | undefined, to: Busy | undefined, knownShare: number): number | undefined {
  if (!from || !to) return undefined;
  const cpus = (to.allMs - from.allMs - (to.ownMs - from.ownMs)) / (to.atMs - from.atMs) - knownShare;
  return Number(Math.max(0, cpus).toFixed(3));
}
