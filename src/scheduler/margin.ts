/**
 * How much longer pictures ahead take than admission reckons, learnt from deadlines missed: adaptive conformal inference
 * (Gibbs and Candes, Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021). After each picture that was
 * admitted to be in time the factor grows if it was not, and shrinks a little if it was, so that in the long run the share
 * of those that miss their deadline is MISSES, however wrong the model of the host is.
 */

/** Share of the admitted that may miss their deadline: half of what is allowed (DESIGN: 1 % of arrivals). */
const MISSES = Number(process.env.MISSES ?? 0.01);
/** What one miss adds. Lower: more misses before it holds. Higher: one unlucky picture refuses many that would be in time. */
const STEP = Number(process.env.STEP ?? 0.01);
/** Nothing is refused for it beyond this: a host that stands still for a second must not refuse for minutes. */
const MOST = 3;

export class Margin {
  #factor = 1;

  /** At least 1: optimism is not learnt, as those who were refused cannot show that they would have been in time. */
  get factor(): number {
    return this.#factor;
  }

  learn(missed: boolean): void {
    this.#factor = Math.min(MOST, Math.max(1, this.#factor + STEP * ((missed ? 1 : 0) - MISSES)));
  }
}
