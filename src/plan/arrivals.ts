/** Forecasts the arrival rate of pictures, and how far it may be wrong, from the counts of the last five seconds. */

/** Arrivals are counted in spans of this length, about the slack that a typical deadline leaves. */
const SPAN_MS = 50;
/** How many spans are remembered: 5 s. */
const SPANS = 100;
/** A rate over this many spans (200 ms, a few times the typical slack) is more than a burst. */
const LASTING_SPANS = 4;
/** With fewer spans the means of GAINS cannot be compared; the forecast is then the plain mean rate. */
const ENOUGH_SPANS = 10;
/** The plain mean rate divides by at least this time: two pictures in 1 ms are no rate of 1,000 a second. */
const LEAST_MS = 20;

/** Smoothing factors to choose from: the first follows a peak at once, the last hardly moves in a burst. */
const GAINS = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32];

export interface Forecast {
  /** Pictures to expect, in 1/ms. */
  readonly arrivalsPerMs: number;
  /** Mean rate over the last LASTING_SPANS complete spans, in 1/ms: a load that outlasts a burst. */
  readonly lastingPerMs: number;
  /** Mean squared error of past forecasts over the mean count: 1 for a Poisson process, more for bursts. */
  readonly dispersion: number;
}

/** An exponentially weighted mean of the counts of spans. */
interface Smoothed {
  readonly gain: number;
  /** Pictures in a span. */
  readonly mean: number;
  /**
   * Mean squared error of the mean as a forecast of the next span, over the mean count of a span; 1 if nothing came.
   */
  readonly dispersion: number;
}

export class Arrivals {
  /** Pictures in each span, oldest first; the last span is not over yet. */
  #counts: number[] = [];
  /** Number of the last span: the clock's ms divided by SPAN_MS. */
  #span = 0;
  /** When the first picture came, in the clock's ms. */
  #sinceMs = 0;
  /** The best mean of the complete spans; undefined until there are enough, and when it has to be computed again. */
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
      // The current span counts in proportion to how much of it has passed, so that a peak is seen before it is over.
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
    // After a pause longer than SPANS, only as many empty spans as are remembered are added.
    for (let n = Math.max(this.#span, span - SPANS - 1); n < span; n++) this.#counts.push(0);
    if (this.#counts.length > SPANS + 1) this.#counts = this.#counts.slice(-SPANS - 1);
    this.#span = span;
  }
}

/**
 * Of the means with the smoothing factors GAINS, the one whose one-step-ahead forecasts had the smallest squared error
 * on these counts (the prequential approach: Dawid, Present position and potential developments, 1984). A slow mean
 * wins where bursts say nothing about the next span: then a lull does not end the expected load. A fast one wins where
 * the rate moves.
 */
function bestMean(counts: readonly number[]): Smoothed {
  // Divides by the mean of all counts: the smoothed mean falls in a lull, while the errors made before stay in the sum.
  const came = counts.reduce((a, b) => a + b, 0) / counts.length;
  const all = GAINS.map((gain): Smoothed => {
    let [mean, squares] = [counts[0] as number, 0];
    for (let n = 1; n < counts.length; n++) {
      const error = (counts[n] as number) - mean;
      squares += error * error;
      mean += Math.max(gain, 1 / (n + 1)) * error; // a plain mean at first, or the first count would weigh too much
    }
    return { gain, mean, dispersion: came > 0 ? squares / (counts.length - 1) / came : 1 };
  });
  return all.reduce((a, b) => (b.dispersion < a.dispersion ? b : a));
}
