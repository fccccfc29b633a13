/** How many pictures came of late, and how unevenly, as a forecast of how many will come. */

/** Pictures are counted in spans of this, about what a deadline leaves; so many of them are remembered. */
const SPAN_MS = 50;
const SPANS = 100;
/** What has lasted so many spans is more than a burst: a few times what a deadline leaves. */
const LASTING_SPANS = 4;
/** With fewer there is nothing to compare. */
const ENOUGH_SPANS = 10;
/** The first window is not shorter than this: one picture alone is no rate. */
const LEAST_MS = 20;

/** Weights of the newest count in a mean, from one that follows a peak at once to one that a burst hardly moves. */
const GAINS = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32];

export interface Forecast {
  /** How many more to expect, in 1/ms. */
  readonly arrivalsPerMs: number;
  /** How many came over a longer while, up to a moment ago, in 1/ms: what is not over with a burst. */
  readonly lastingPerMs: number;
  /** Mean squared error of what was expected in a while, over the mean of what came: how far from expected it may be. */
  readonly dispersion: number;
}

/** An exponentially weighted mean of counts. */
interface Smoothed {
  readonly gain: number;
  /** Pictures in a span. */
  readonly mean: number;
  /** Mean squared error of expecting in each span what the mean was before it, over how many came in one; 1 if none did. */
  readonly dispersion: number;
}

export class Arrivals {
  /** Pictures in each span, the oldest first; the last one is under way. */
  #counts: number[] = [];
  #span = 0;
  #sinceMs = 0;
  /** Of the spans that are over; undefined when it has to be made anew, or while they are too few. */
  #best: Smoothed | undefined;

  add(atMs: number, pictures = 1): void {
    if (this.#counts.length === 0) this.#sinceMs = atMs;
    this.#countUpTo(atMs);
    (this.#counts[this.#counts.length - 1] as number) += pictures;
  }

  forecast(nowMs: number): Forecast {
    if (this.#counts.length === 0) return { arrivalsPerMs: 0, lastingPerMs: 0, dispersion: 1 };
    this.#countUpTo(nowMs);
    const past = this.#counts.slice(-LASTING_SPANS - 1, -1);
    const lastingPerMs = past.reduce((a, b) => a + b, 0) / Math.max(1, past.length) / SPAN_MS;
    if (this.#counts.length <= ENOUGH_SPANS) {
      const count = this.#counts.reduce((a, b) => a + b, 0);
      const arrivalsPerMs = Math.max(0, count - 1) / Math.max(LEAST_MS, nowMs - this.#sinceMs);
      return { arrivalsPerMs, lastingPerMs, dispersion: 1 };
    }
    this.#best ??= bestMean(this.#counts.slice(0, -1));
    const { gain, mean, dispersion } = this.#best;
    const underWay = this.#counts.at(-1) as number;
    const passed = nowMs / SPAN_MS - this.#span;
    return {
      // The span under way counts as much of it as has passed, so that a peak is seen before it is over.
      arrivalsPerMs: (mean + gain * (underWay - passed * mean)) / SPAN_MS,
      lastingPerMs,
      dispersion,
    };
  }

  #countUpTo(nowMs: number): void {
    const span = Math.floor(nowMs / SPAN_MS);
    if (this.#counts.length === 0) this.#span = span - 1;
    if (span <= this.#span) return;
    this.#best = undefined;
    // After a pause longer than what is remembered, all of it is empty.
    for (let n = Math.max(this.#span, span - SPANS - 1); n < span; n++) this.#counts.push(0);
    if (this.#counts.length > SPANS + 1) this.#counts = this.#counts.slice(-SPANS - 1);
    this.#span = span;
  }
}

/**
 * The mean that would have foretold each of these counts best from those before it (smallest squared error, one step
 * ahead: Dawid, Present position and potential developments: the prequential approach, 1984). Where bursts tell nothing of
 * what follows that is a slow one, and a lull is not taken for the end of them; where the rate itself moves, a fast one.
 */
function bestMean(counts: readonly number[]): Smoothed {
  // Of all that came while errors were made: the mean itself fades in a lull, and what it missed before does not.
  const came = counts.reduce((a, b) => a + b, 0) / counts.length;
  const all = GAINS.map((gain): Smoothed => {
    let [mean, squares] = [counts[0] as number, 0];
    for (let n = 1; n < counts.length; n++) {
      const error = (counts[n] as number) - mean;
      squares += error * error;
      mean += Math.max(gain, 1 / (n + 1)) * error; // a plain mean, until there are enough: else the first counts for long
    }
    return { gain, mean, dispersion: came > 0 ? squares / (counts.length - 1) / came : 1 };
  });
  return all.reduce((a, b) => (b.dispersion < a.dispersion ? b : a));
}
