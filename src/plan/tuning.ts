/**
 * The tuned constants of the plan and of admission. docs/scheduling.md says what a value that is too low or too high
 * does; bench/virtual/sweep.ts tries other values, with results in bench/results/sweep.json.
 */
export interface Tuning {
  /**
   * In units of the horizon, which is the time until the last waiting picture is due. Pictures expected within the next
   * horizon count as lost if they cannot be done this long from now; they are due between one and two horizons from
   * now.
   */
  readonly horizons: number;
  /** For each engine thread, how many pictures may be decoded or being decoded while they wait for a run. */
  readonly decodedAhead: number;
  /**
   * Under overload, admission reserves time for a full batch if a picture run alone takes at least this many times the
   * CPU time of a picture in a full batch.
   */
  readonly batchSaving: number;
  /** Share of a request's CPU overhead (all but decode and network) that is spent after its admission, in 0..1. */
  readonly answerShare: number;
  /** Target share of deadline misses, in 0..1, among pictures that were admitted to be in time. */
  readonly misses: number;
  /** How much one deadline miss adds to the margin of admission. */
  readonly marginStep: number;
  /** Upper bound of the margin of admission. */
  readonly mostMargin: number;
}

export const TUNING: Tuning = {
  horizons: 1.5,
  decodedAhead: 4,
  batchSaving: 1.25,
  answerShare: 0.5,
  misses: 0.01,
  marginStep: 0.01,
  mostMargin: 3,
};
