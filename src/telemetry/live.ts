/**
 * Sums up answers and refusals for /live, between one sample and the next. Pure: the caller reports and takes samples.
 */

/** Facts about an answered request. */
export interface Answered {
  readonly model: string;
  /** One for each picture. */
  readonly pictures: readonly { readonly instance: string; readonly accuracy: number; readonly share: number }[];
  /** Time from the last body byte read to the answer. */
  readonly totalMs: number;
  /** The latency in its budget, in ms; undefined if there was none. */
  readonly promisedMs: number | undefined;
}

/** How many pictures an instance answered. */
export interface Mix {
  readonly model: string;
  readonly instance: string;
  readonly pictures: number;
}

/** A sample. Means and quantiles are null if nothing was answered, promisedMs if no budget had a latency. */
export interface LiveSums {
  readonly pictures: number;
  readonly answered: number;
  readonly refused: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number } | null;
  /** The smallest latency in a budget. */
  readonly promisedMs: number | null;
  /** Requests with a latency (of), those refused under load included, and those answered within it (kept). */
  readonly promises: { readonly kept: number; readonly of: number };
  readonly accuracy: number | null;
  readonly cost: number | null;
  readonly instances: readonly Mix[];
}

/**
 * Collects samples. While nobody watches, nothing is collected: without `take`, the list of times would grow for ever.
 */
export class Live {
  #watched = false;
  #totalsMs: number[] = [];
  #mix = new Map<string, { model: string; instance: string; pictures: number }>();
  #refused = 0;
  #kept = 0;
  #promised = 0;
  #promisedMs = Number.POSITIVE_INFINITY;
  #accuracy = 0;
  #cost = 0;
  #pictures = 0;

  /** Begins to collect, from zero. */
  watch(): void {
    this.#reset();
    this.#watched = true;
  }

  unwatch(): void {
    this.#watched = false;
    this.#reset();
  }

  /** told: called while somebody watches. */
  answered(told: () => Answered): void {
    if (!this.#watched) return;
    const { model, pictures, totalMs, promisedMs } = told();
    this.#totalsMs.push(totalMs);
    this.#promise(promisedMs, totalMs);
    for (const { instance, accuracy, share } of pictures) {
      const key = `${model}/${instance}`;
      const entry = this.#mix.get(key) ?? { model, instance, pictures: 0 };
      entry.pictures += 1;
      this.#mix.set(key, entry);
      this.#accuracy += accuracy;
      this.#cost += share;
      this.#pictures += 1;
    }
  }

  /**
   * Reports a refused or failed request. promised: returns the latency that it asked for, in ms, if the refusal breaks
   * that promise; called only while somebody watches.
   */
  refused(promised: () => number | undefined): void {
    if (!this.#watched) return;
    this.#refused += 1;
    this.#promise(promised(), Number.POSITIVE_INFINITY);
  }

  #promise(promisedMs: number | undefined, totalMs: number): void {
    if (promisedMs === undefined) return;
    this.#promised += 1;
    this.#promisedMs = Math.min(this.#promisedMs, promisedMs);
    if (totalMs <= promisedMs) this.#kept += 1;
  }

  /** The sample since the last call, or since `watch`. */
  take(): LiveSums {
    const sorted = this.#totalsMs.sort((a, b) => a - b);
    const quantile = (q: number) => round(sorted[Math.ceil(q * sorted.length) - 1] as number, 3);
    const mean = (sum: number) => (this.#pictures === 0 ? null : round(sum / this.#pictures, 6));
    const sums: LiveSums = {
      pictures: this.#pictures,
      answered: sorted.length,
      refused: this.#refused,
      latencyMs: sorted.length === 0 ? null : { p50: quantile(0.5), p95: quantile(0.95) },
      promisedMs: this.#promised === 0 ? null : this.#promisedMs,
      promises: { kept: this.#kept, of: this.#promised },
      accuracy: mean(this.#accuracy),
      cost: mean(this.#cost),
      instances: [...this.#mix.values()],
    };
    this.#reset();
    return sums;
  }

  #reset(): void {
    this.#totalsMs = [];
    this.#mix = new Map();
    this.#refused = this.#kept = this.#promised = this.#accuracy = this.#cost = this.#pictures = 0;
    this.#promisedMs = Number.POSITIVE_INFINITY;
  }
}

const round = (value: number, digits: number) => Number(value.toFixed(digits));
