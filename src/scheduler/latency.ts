/** How long a run takes: measured on this host, kept fresh by the runs themselves. */
import { z } from 'zod';
import { getOrInsert } from '../get-or-insert.js';

/** The batch sizes that run: few, so that each can be warmed and measured. */
export const BATCH_SIZES = [1, 2, 4, 8] as const;
export const MAX_BATCH = 8;

const RECENT = 48;
/** A promise rests on a prediction, so it is a high quantile and not the mean. */
const QUANTILE = 0.9;

/** A quantile of the last few values. */
export class RecentQuantile {
  readonly #quantile: number;
  readonly #values: number[] = [];
  #next = 0;
  #sorted: number[] | undefined;

  constructor(quantile: number) {
    this.#quantile = quantile;
  }

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % RECENT;
    this.#sorted = undefined;
  }

  /** undefined while there is no value. */
  get value(): number | undefined {
    this.#sorted ??= [...this.#values].sort((a, b) => a - b);
    return this.#sorted[Math.floor(this.#quantile * (this.#sorted.length - 1))];
  }

  get values(): readonly number[] {
    return this.#values;
  }
}

/** Instance key -> batch size -> recent latencies in ms. */
export const latencySamplesSchema = z.record(
  z.string(),
  z.record(z.string(), z.array(z.number().positive()).max(RECENT)),
);
export type LatencySamples = z.infer<typeof latencySamplesSchema>;

/** From handing a batch to an engine thread to having its logits, in ms, by instance key and batch size. */
export class LatencyTable {
  readonly #rows = new Map<string, Map<number, RecentQuantile>>();

  static from(samples: LatencySamples): LatencyTable {
    const table = new LatencyTable();
    for (const [key, sizes] of Object.entries(samples)) {
      for (const [size, values] of Object.entries(sizes)) for (const ms of values) table.record(key, Number(size), ms);
    }
    return table;
  }

  record(key: string, size: number, ms: number): void {
    const row = getOrInsert(this.#rows, key, () => new Map());
    getOrInsert(row, size, () => new RecentQuantile(QUANTILE)).add(ms);
  }

  /**
   * Predicted ms. A size that was not measured lies on the line through its measured neighbours (a + b n), or through
   * the origin and the nearest one. Raises Error for an instance that was never measured.
   */
  predict(key: string, size: number): number {
    const row = this.#rows.get(key);
    const exact = row?.get(size)?.value;
    if (exact !== undefined) return exact;
    const points = [...(row ?? [])].map(([n, cell]) => [n, cell.value as number] as const).sort((a, b) => a[0] - b[0]);
    const below = points.filter(([n]) => n < size).at(-1);
    const above = points.find(([n]) => n > size);
    if (below && above) return below[1] + ((above[1] - below[1]) * (size - below[0])) / (above[0] - below[0]);
    const near = below ?? above;
    if (!near) throw new Error(`no latency was measured for ${key}`);
    return below ? (near[1] * size) / near[0] : near[1];
  }

  /** Whether this instance was measured at this size. */
  has(key: string, size: number): boolean {
    return this.#rows.get(key)?.get(size)?.value !== undefined;
  }

  samples(): LatencySamples {
    return Object.fromEntries(
      [...this.#rows].map(([key, row]) => [
        key,
        Object.fromEntries(
          [...row].map(([size, cell]) => [String(size), cell.values.map((ms) => Number(ms.toFixed(3)) || 0.001)]),
        ),
      ]),
    );
  }
}
