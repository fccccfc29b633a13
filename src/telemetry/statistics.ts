/** What each model has done since the start, as the statistics extension of the Open Inference Protocol has it. */

import { getOrInsert } from '../get-or-insert.js';

/** Of one picture. */
export interface Ran {
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly inferenceMs: number;
  /** Pictures in the run that it was part of. */
  readonly batchSize: number;
}

export class Duration {
  count = 0;
  ms = 0;

  add(ms: number, count = 1): void {
    this.count += count;
    this.ms += ms * count;
  }
}

export class ModelStatistics {
  /** Of the latest request, ms since 1970; 0: there was none. */
  lastMs = 0;
  pictures = 0;
  /** Requests. */
  readonly success = new Duration();
  readonly fail = new Duration();
  /** Pictures. */
  readonly decode = new Duration();
  readonly queue = new Duration();
  readonly infer = new Duration();
  /** Runs by the number of their pictures. A picture counts as its part of one. */
  readonly runs = new Map<number, Duration>();
}

export class Statistics {
  readonly #models = new Map<string, ModelStatistics>();

  of(model: string): ModelStatistics {
    return getOrInsert(this.#models, model, () => new ModelStatistics());
  }

  answered(model: string, pictures: readonly Ran[], totalMs: number): void {
    const statistics = this.of(model);
    statistics.lastMs = Date.now();
    statistics.pictures += pictures.length;
    statistics.success.add(totalMs);
    for (const { decodeMs, queueMs, inferenceMs, batchSize } of pictures) {
      statistics.decode.add(decodeMs);
      statistics.queue.add(queueMs);
      statistics.infer.add(inferenceMs);
      getOrInsert(statistics.runs, batchSize, () => new Duration()).add(inferenceMs, 1 / batchSize);
    }
  }

  failed(model: string, ms: number): void {
    const statistics = this.of(model);
    statistics.lastMs = Date.now();
    statistics.fail.add(ms);
  }
}
