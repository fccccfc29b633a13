/** How long a run takes: measured on this host, kept fresh by the runs themselves. */
import { z } from 'zod';
import { getOrInsert } from '../get-or-insert.js';
import { quantile, Recent } from './recent.js';

/** The batch sizes that run: few, so that each can be warmed and measured. */
export const BATCH_SIZES = [1, 2, 4, 8] as const;
export const MAX_BATCH = 8;

/** A promise rests on a prediction, so it is a high quantile and not the mean. */
const QUANTILE = 0.9;
/** With fewer fresh runs than this the measurement at start counts too, so that one slow run decides nothing. */
const ENOUGH = 8;
const MOST_SAMPLES = 256;

/** Instance key -> batch size -> recent latencies in ms. */
export const latencySamplesSchema = z.record(
  z.string(),
  z.record(z.string(), z.array(z.number().positive()).max(MOST_SAMPLES)),
);
export type LatencySamples = z.infer<typeof latencySamplesSchema>;

/** One instance at one batch size: ms measured at start (smallest first), and those of recent runs. */
interface Cell {
  readonly measured: number[];
  readonly recent: Recent;
}

/** From handing a batch to an engine thread to having its logits, in ms, by instance key and batch size. */
export class LatencyTable {
  readonly #now: () => number;
  readonly #rows = new Map<string, Map<number, Cell>>();

  /** now: ms of a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  static from(samples: LatencySamples, now: () => number): LatencyTable {
    const table = new LatencyTable(now);
    for (const [key, sizes] of Object.entries(samples)) {
      for (const [size, values] of Object.entries(sizes))
        for (const ms of values) table.measured(key, Number(size), ms);
    }
    return table;
  }

  /** A run before anything was served. */
  measured(key: string, size: number, ms: number): void {
    const { measured } = this.#cell(key, size);
    measured.push(ms);
    measured.sort((a, b) => a - b);
  }

  /** A run that served a picture: it counts as long as it is recent. */
  record(key: string, size: number, ms: number): void {
    this.#cell(key, size).recent.add(ms);
  }

  /**
   * Predicted ms. A size that was not measured lies on the line through its measured neighbours (a + b n), or through
   * the origin and the nearest one. Raises Error for an instance that was never measured.
   */
  predict(key: string, size: number): number {
    const row = this.#rows.get(key);
    const exact = msOf(row?.get(size));
    if (exact !== undefined) return exact;
    const points = [...(row ?? [])].map(([n, cell]) => [n, msOf(cell) as number] as const).sort((a, b) => a[0] - b[0]);
    const below = points.filter(([n]) => n < size).at(-1);
    const above = points.find(([n]) => n > size);
    if (below && above) return below[1] + ((above[1] - below[1]) * (size - below[0])) / (above[0] - below[0]);
    const near = below ?? above;
    if (!near) throw new Error(`no latency was measured for ${key}`);
    return below ? (near[1] * size) / near[0] : near[1];
  }

  /** Whether this instance was measured at this size. */
  has(key: string, size: number): boolean {
    return msOf(this.#rows.get(key)?.get(size)) !== undefined;
  }

  /** What was measured at start, to be kept. */
  samples(): LatencySamples {
    return Object.fromEntries(
      [...this.#rows].map(([key, row]) => [
        key,
        Object.fromEntries(
          [...row].map(([size, cell]) => [String(size), cell.measured.map((ms) => Number(ms.toFixed(3)) || 0.001)]),
        ),
      ]),
    );
  }

  #cell(key: string, size: number): Cell {
    const row = getOrInsert(this.#rows, key, () => new Map());
    return getOrInsert(row, size, () => ({ measured: [], recent: new Recent(this.#now) }));
  }
}

function msOf(cell: Cell | undefined): number | undefined {
  const fresh = cell?.recent.fresh ?? [];
  if (fresh.length >= ENOUGH) return quantile(fresh, QUANTILE);
  return quantile(
    [...fresh, ...(cell?.measured ?? [])].sort((a, b) => a - b),
    QUANTILE,
  );
}
