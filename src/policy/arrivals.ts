/** How many pictures came of late, as a forecast of how many will come. */

/** Long enough to count a few hundred at full load, short enough to follow a burst. */
const WINDOW_MS = 100;

/** The first window is as long as it has lasted, so that its rate is not too low, but not shorter than this. */
const LEAST_MS = 10;

export class Arrivals {
  /** Times within the window, oldest first from #first on. */
  #times: number[] = [];
  #first = 0;
  #sinceMs = Number.POSITIVE_INFINITY;

  add(atMs: number, pictures = 1): void {
    this.#sinceMs = Math.min(this.#sinceMs, atMs);
    for (let i = 0; i < pictures; i++) this.#times.push(atMs);
  }

  /** Pictures per ms over the window before now; 0 if there were none. */
  perMs(nowMs: number): number {
    while (this.#first < this.#times.length && (this.#times[this.#first] as number) <= nowMs - WINDOW_MS) this.#first++;
    if (this.#first > 1024 && this.#first * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#first);
      this.#first = 0;
    }
    const lastedMs = Math.max(LEAST_MS, nowMs - this.#sinceMs);
    return (this.#times.length - this.#first) / Math.min(WINDOW_MS, lastedMs);
  }
}
