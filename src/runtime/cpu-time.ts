/** Counters of CPU time; the difference of two readings is the CPU time between them. */
import { readFileSync } from 'node:fs';

/** CPU ms used by all threads of this process. */
export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** CPU ms used by the calling thread; undefined where the kernel does not count it. A call takes about 10 µs. */
export function threadCpuMs(file = '/proc/thread-self/schedstat'): number | undefined {
  try {
    process.cpuUsage(); // makes the kernel bring the counter up to date, which is otherwise some ms (a tick) old
    const [ns] = readFileSync(file, 'utf8').split(' ');
    const ms = Number(ns) / 1e6;
    return ms > 0 ? ms : undefined; // always 0 where counting is switched off
  } catch {
    return undefined;
  }
}

/** Unit of /proc/stat: Linux reports hundredths of a second, whatever the kernel's own tick is. */
const TICK_MS = 10;

/** CPU ms used by everything on this host; undefined where there is no /proc. */
export function hostCpuMs(file = '/proc/stat'): number | undefined {
  try {
    const [, user, nice, system, , , irq, softirq] = readFileSync(file, 'utf8').split('\n', 1)[0]?.split(/\s+/) ?? [];
    const ticks = [user, nice, system, irq, softirq].map(Number).reduce((a, b) => a + b, 0);
    return Number.isFinite(ticks) ? ticks * TICK_MS : undefined;
  } catch {
    return undefined;
  }
}
