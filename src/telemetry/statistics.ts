/** Sums what each model has done since the start, for the statistics extension of the Open Inference Protocol. */

import { getOrInsert } from '../get-or-insert.js';

/** What one picture took. */
export interface Ran {
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly inferenceMs: number;
  /** Pictures in the run that it was part of. */
  readonly batchSize: number;
}

/** How often something happened, and how long it took altogether. */
export class Duration {
  count = 0;
  ms = 0;

  add(ms: number): void {
    this.count += 1;
    this.ms += ms;
  }
}

export class ModelStatistics {
  /** When the latest request ended, in ms since 1970; 0 if there was none. */
  lastMs = 0;
  pictures = 0;
  /** Requests. */
  readonly success = new Duration();
  readonly fail = new Duration();
  /** Pictures. */
  readonly decode = new Duration();
  readonly queue = new Duration();
  readonly infer = new Duration();
  readonly #picturesBySize = new Map<number, Duration>();

  /**
   * Batch size -> runs of this size, in order of size. The pictures of a run may belong to several requests, which end
   * one after the other; it counts once the last of them is answered.
   */
  get runs(): ReadonlyMap<number, Readonly<Pick<Duration, 'count' | 'ms'>>> {
    const bySize = [...this.#picturesBySize].sort(([a], [b]) => a - b);
    return new Map(bySize.map(([size, { count, ms }]) => [size, { count: Math.floor(count / size), ms: ms / size }]));
  }

  answered(pictures: readonly Ran[], totalMs: number): void {
    this.lastMs = Date.now();
    this.pictures += pictures.length;
    this.success.add(totalMs);
    for (const { decodeMs, queueMs, inferenceMs, batchSize } of pictures) {
      this.decode.add(decodeMs);
      this.queue.add(queueMs);
      this.infer.add(inferenceMs);
      getOrInsert(this.#picturesBySize, batchSize, () => new Duration()).add(inferenceMs);
    }
  }

  failed(ms: number): void {
    this.lastMs = Date.now();
    this.fail.add(ms);
  }
}

export class Statistics {
  readonly #models = new Map<string, ModelStatistics>();

  of(model: string): ModelStatistics {
    return getOrInsert(this.#models, model, () => new ModelStatistics());
  }
}
