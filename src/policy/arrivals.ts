/** How many pictures came of late, and how unevenly, as a forecast of how many will come. */

/** Long enough to count a few hundred at full load, short enough to follow a burst. */
const WINDOW_MS = 100;

/** The first window is as long as it has lasted, so that its rate is not too low; but not shorter than this. */
const LEAST_MS = 50;

/** Unevenness is that of counts over so long, about what a deadline leaves, as seen in so many of them. */
const SPAN_MS = 50;
const SPANS = 100;
/** What has lasted so many spans is more than a burst: a few times what a deadline leaves. */
const LASTING_SPANS = 4;
/** With fewer there is nothing to compare. */
const ENOUGH_SPANS = 10;

export interface Forecast {
  /** How many more to expect, in 1/ms. */
  readonly arrivalsPerMs: number;
  /** How many came over a longer while, up to a moment ago, in 1/ms: what is not over with a burst. */
  readonly lastingPerMs: number;
  /** Variance over mean of how many come in a while: how far from expected it may be. */
  readonly dispersion: number;
}

export class Arrivals {
  /** Times within the window, oldest first from #first on. */
  #times: number[] = [];
  #first = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;
  /** Pictures in each span, the oldest first; the last one is under way. */
  #counts: number[] = [];
  #span = 0;

  add(atMs: number, pictures = 1): void {
    if (this.#sinceMs === Number.NEGATIVE_INFINITY) this.#sinceMs = atMs;
    for (let i = 0; i < pictures; i++) this.#times.push(atMs);
    this.#countUpTo(atMs);
    (this.#counts[this.#counts.length - 1] as number) += pictures;
  }

  /**
   * Pictures in 1/ms over the window before now; 0 if there were none. Until the first window is full, those after the
   * first arrival, since it: one picture alone is no rate.
   */
  #perMs(nowMs: number): number {
    while (this.#first < this.#times.length && (this.#times[this.#first] as number) <= nowMs - WINDOW_MS) this.#first++;
    if (this.#first > 1024 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first);
      this.#first = 0;
    }
    const count = this.#times.length - this.#first;
    const lastedMs = nowMs - this.#sinceMs;
    return lastedMs < WINDOW_MS ? (count - 1) / Math.max(LEAST_MS, lastedMs) : count / WINDOW_MS;
  }

  /**
   * Variance over mean of how many came in a span (index of dispersion: 1 of a Poisson process, in the long run CV^2 of
   * independent gaps; Cox and Lewis 1966), over the last 5 s; 1 while too little was seen.
   */
  #dispersion(): number {
    const past = this.#counts.slice(0, -1);
    const mean = past.reduce((a, b) => a + b, 0) / past.length;
    if (past.length < ENOUGH_SPANS || mean === 0) return 1;
    return past.reduce((sum, count) => sum + (count - mean) ** 2, 0) / past.length / mean;
  }

  /** Over the last whole spans; 0 until there is one. */
  #lastingPerMs(): number {
    const past = this.#counts.slice(-LASTING_SPANS - 1, -1);
    return past.reduce((a, b) => a + b, 0) / Math.max(1, past.length) / SPAN_MS;
  }

  forecast(nowMs: number): Forecast {
    this.#countUpTo(nowMs);
    return {
      arrivalsPerMs: this.#perMs(nowMs),
      lastingPerMs: this.#lastingPerMs(),
      dispersion: this.#dispersion(),
    };
  }

  #countUpTo(nowMs: number): void {
    const span = Math.floor(nowMs / SPAN_MS);
    if (this.#counts.length === 0) this.#span = span - 1;
    // After a pause longer than what is remembered, all of it is empty.
    for (let n = Math.max(this.#span, span - SPANS - 1); n < span; n++) this.#counts.push(0);
    if (this.#counts.length > SPANS + 1) this.#counts = this.#counts.slice(-SPANS - 1);
    this.#span = Math.max(this.#span, span);
  }
}
