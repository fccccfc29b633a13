/** Memory of a service and its decoding processes over time, and its slope. */
import { setTimeout as sleep } from 'node:timers/promises';
import { mean, sum } from '../../src/load/statistics.js';
import { sharedOutBytes } from '../../src/runtime/memory.js';
import { readMetrics, total } from '../load/metrics.js';
import { treeOf } from '../load/processes.js';

const MIB = 1024 * 1024;

/** One sample. pssMib: proportional set size of all processes; heapMib: V8 heap in use. */
export interface Point {
  readonly seconds: number;
  readonly pssMib: number;
  readonly heapMib: number;
}

export interface Slope {
  readonly perHour: number;
  /**
   * Standard error of the slope, for independent deviations. Deviations of memory are correlated, so it is too small.
   */
  readonly error: number;
}

/** Takes a sample every `everyMs` until `over()` is true. A sample is missing if the service did not answer. */
export async function watch(pid: number, url: string, everyMs: number, over: () => boolean): Promise<Point[]> {
  const points: Point[] = [];
  const startMs = performance.now();
  for (let n = 1; !over(); n++) {
    const samples = await readMetrics(url).catch(() => undefined);
    const heap = samples && total(samples, 'nodejs_heap_size_used_bytes') / MIB;
    const seconds = (performance.now() - startMs) / 1000;
    if (heap !== undefined) points.push({ seconds, pssMib: await pssMib(pid), heapMib: heap });
    await sleep(Math.max(0, startMs + n * everyMs - performance.now()));
  }
  return points;
}

/** Proportional set size of a process and its descendants, in MiB. A process that has ended counts as 0. */
export async function pssMib(pid: number): Promise<number> {
  const bytes = await Promise.all(treeOf(pid).map((p) => sharedOutBytes(`/proc/${p}/smaps_rollup`)));
  return sum(bytes.map((b) => b ?? 0)) / MIB;
}

/** Least-squares slope of y over x (in seconds), per hour; NaN for fewer than three points. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): Slope {
  const n = points.length;
  const [meanX, meanY] = [mean(points.map((p) => p.x)), mean(points.map((p) => p.y))];
  const sxx = sum(points.map((p) => (p.x - meanX) ** 2));
  const b = sum(points.map((p) => (p.x - meanX) * (p.y - meanY))) / sxx;
  const residual = sum(points.map((p) => (p.y - meanY - b * (p.x - meanX)) ** 2));
  if (n < 3) return { perHour: Number.NaN, error: Number.NaN };
  return { perHour: b * 3600, error: Math.sqrt(residual / (n - 2) / sxx) * 3600 };
}
