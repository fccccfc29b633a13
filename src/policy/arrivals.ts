/** How many pictures came of late, as a forecast of how many will come. */

/** Long enough to count a few hundred at full load, short enough to follow a burst. */
const WINDOW_MS = 100;

/** The first window is as long as it has lasted, so that its rate is not too low; but not shorter than this. */
const LEAST_MS = 50;

export class Arrivals {
  /** Times within the window, oldest first from #first on. */
  #times: number[] = [];
  #first = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  add(atMs: number, pictures = 1): void {
    if (this.#sinceMs === Number.NEGATIVE_INFINITY) this.#sinceMs = atMs;
    for (let i = 0; i < pictures; i++) this.#times.push(atMs);
  }

  /**
   * Pictures per ms over the window before now; 0 if there were none. Until the first window is full, those after the
   * first arrival, since it: one picture alone is no rate.
   */
  perMs(nowMs: number): number {
    while (this.#first < this.#times.length && (this.#times[this.#first] as number) <= nowMs - WINDOW_MS) this.#first++;
    if (this.#first > 1024 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first);
      this.#first = 0;
    }
    const count = this.#times.length - this.#first;
    const lastedMs = nowMs - this.#sinceMs;
    return lastedMs < WINDOW_MS ? (count - 1) / Math.max(LEAST_MS, lastedMs) : count / WINDOW_MS;
  }
}
