/** Memory of a service, with its decoding processes, over time, and whether it grows. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMetrics, total } from '../load/metrics.js';
import { treeOf } from '../load/processes.js';

const MIB = 1024 * 1024;

export interface Point {
  readonly seconds: number;
  readonly pssMib: number;
  readonly heapMib: number;
}

export interface Slope {
  readonly perHour: number;
  /** Standard error of it, of independent deviations from the line; memory has others, so it is rather too small. */
  readonly error: number;
}

/** Samples until `over` says so; a point is missing where the service did not answer. */
export async function watch(pid: number, url: string, everyMs: number, over: () => boolean): Promise<Point[]> {
  const points: Point[] = [];
  const startMs = performance.now();
  for (let n = 1; !over(); n++) {
    const samples = await readMetrics(url).catch(() => undefined);
    const heap = samples && total(samples, 'nodejs_heap_size_used_bytes') / MIB;
    const seconds = (performance.now() - startMs) / 1000;
    if (heap !== undefined) points.push({ seconds, pssMib: pssMib(pid), heapMib: heap });
    await sleep(Math.max(0, startMs + n * everyMs - performance.now()));
  }
  return points;
}

/** What a process and all that descend from it hold, shared pages by their share. */
export function pssMib(pid: number): number {
  return treeOf(pid).reduce((sum, p) => sum + pssMibOf(p), 0);
}

function pssMibOf(pid: number): number {
  try {
    const kib = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0; // it has ended meanwhile
  }
}

/** Least squares of y over x in seconds; NaN of less than three points. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): Slope {
  const n = points.length;
  const [meanX, meanY] = [mean(points.map((p) => p.x)), mean(points.map((p) => p.y))];
  const sxx = sum(points.map((p) => (p.x - meanX) ** 2));
  const b = sum(points.map((p) => (p.x - meanX) * (p.y - meanY))) / sxx;
  const residual = sum(points.map((p) => (p.y - meanY - b * (p.x - meanX)) ** 2));
  if (n < 3) return { perHour: Number.NaN, error: Number.NaN };
  return { perHour: b * 3600, error: Math.sqrt(residual / (n - 2) / sxx) * 3600 };
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
