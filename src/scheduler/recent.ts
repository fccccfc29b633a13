/** The last values of something that changes, and their quantiles. */

/** How many are kept. */
const RECENT = 48;
/** An older value says nothing about now: what was slow in a burst must be tried again after it. */
const FRESH_MS = 30_000;

export class Recent {
  readonly #now: () => number;
  readonly #values: { value: number; atMs: number }[] = [];
  #next = 0;
  #fresh: number[] = [];
  /** When #fresh has to be made anew. */
  #staleMs = Number.POSITIVE_INFINITY;

  /** now: ms of a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(value: number): void {
    this.#values[this.#next] = { value, atMs: this.#now() };
    this.#next = (this.#next + 1) % RECENT;
    this.#staleMs = Number.NEGATIVE_INFINITY;
  }

  /** Those of the last 30 s, at most 48, smallest first. */
  get fresh(): readonly number[] {
    const nowMs = this.#now();
    if (nowMs > this.#staleMs) {
      const fresh = this.#values.filter((v) => nowMs - v.atMs <= FRESH_MS);
      this.#fresh = fresh.map((v) => v.value).sort((a, b) => a - b);
      this.#staleMs = Math.min(...fresh.map((v) => v.atMs + FRESH_MS));
    }
    return this.#fresh;
  }

  get median(): number | undefined {
    return quantile(this.fresh, 0.5);
  }
}

/** Products such as 0.07 x 100 come out a little too large, which must not be the next rank. */
const ROUNDING = 1e-9;

/**
 * By nearest rank: the smallest value that at least a share q of all values do not exceed. It is a value that was seen,
 * and of few values a high quantile is the largest: two runs cannot show what nineteen of twenty do not exceed. Of an even
 * number the median is the lower one of the two in the middle. sorted: smallest first; undefined if there is none.
 */
export function quantile(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.max(1, Math.ceil(q * sorted.length - ROUNDING)) - 1];
}
