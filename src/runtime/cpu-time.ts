/** CPU time used so far, for what is to be compared between two moments. */
import { readFileSync } from 'node:fs';

/** ms of one CPU by all threads of this process. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** ms of one CPU by the calling thread; undefined where the kernel does not say. About 10 µs for a call. */
export function threadCpuMs(file = '/proc/thread-self/schedstat'): number | undefined {
  try {
    process.cpuUsage(); // the kernel counts by ticks of milliseconds, but for who asks for the process's time: up to now
    const [ns] = readFileSync(file, 'utf8').split(' ');
    const ms = Number(ns) / 1e6;
    return ms > 0 ? ms : undefined; // 0 always where counting is switched off
  } catch {
    return undefined;
  }
}

/** Linux counts in hundredths of a second, whatever the kernel's own tick is. */
const TICK_MS = 10;

/** ms of one CPU by everything on this host; undefined where there is no /proc. */
export function hostCpuMs(file = '/proc/stat'): number | undefined {
  try {
    const [, user, nice, system, , , irq, softirq] = readFileSync(file, 'utf8').split('\n', 1)[0]?.split(/\s+/) ?? [];
    const ticks = [user, nice, system, irq, softirq].map(Number).reduce((a, b) => a + b, 0);
    return Number.isFinite(ticks) ? ticks * TICK_MS : undefined;
  } catch {
    return undefined;
  }
}
