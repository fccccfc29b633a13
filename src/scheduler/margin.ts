/**
 * The margin of admission: a factor on the predicted time of the work ahead, learnt from deadline misses by adaptive
 * conformal inference (Gibbs and Candès, Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021). Each
 * deadline miss of a picture that was admitted to be in time raises the factor; each success lowers it a little. In the
 * long run the share of misses tends to `misses`, however wrong the latency model is.
 */
import type { Tuning } from '../plan/tuning.js';

export class Margin {
  readonly #tuning: Tuning;
  #factor = 1;

  constructor(tuning: Tuning) {
    this.#tuning = tuning;
  }

  /**
   * At least 1. A value below 1 could not be learnt: refused requests never show whether they would have been in time.
   */
  get factor(): number {
    return this.#factor;
  }

  /** missed: whether a picture that was admitted to be in time missed its deadline. */
  learn(missed: boolean): void {
    const { misses, marginStep, mostMargin } = this.#tuning;
    this.#factor = Math.min(mostMargin, Math.max(1, this.#factor + marginStep * ((missed ? 1 : 0) - misses)));
  }
}
