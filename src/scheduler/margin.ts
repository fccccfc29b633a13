/**
 * How much longer pictures ahead take than admission reckons, learnt from deadlines missed: adaptive conformal inference
 * (Gibbs and Candes, Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021). After each picture that was
 * admitted to be in time the factor grows if it was not, and shrinks a little if it was, so that in the long run the share
 * of those that miss their deadline is `misses`, however wrong the model of the host is.
 */
import type { Tuning } from '../plan/tuning.js';

export class Margin {
  readonly #tuning: Tuning;
  #factor = 1;

  constructor(tuning: Tuning) {
    this.#tuning = tuning;
  }

  /** At least 1: optimism is not learnt, as those who were refused cannot show that they would have been in time. */
  get factor(): number {
    return this.#factor;
  }

  learn(missed: boolean): void {
    const { misses, marginStep, mostMargin } = this.#tuning;
    this.#factor = Math.min(mostMargin, Math.max(1, this.#factor + marginStep * ((missed ? 1 : 0) - misses)));
  }
}
