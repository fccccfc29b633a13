/**
 * The constants of the plan and of admission. docs/scheduling.md says of each what too low and too high do, and shows the
 * sweep by which it was chosen (bench/virtual/sweep.ts).
 */
export interface Tuning {
  /**
   * Within how many times the horizon, the time until the last waiting picture is due, all that waits and all that is
   * expected within the horizon has to be done. Those expected are due a horizon later on average, so 2 would be exact
   * and leave no reserve.
   */
  readonly horizons: number;
  /** How many standard deviations above the mean of arrivals are expected. */
  readonly deviations: number;
  /** Pictures that are decoded, or being so, ahead of their runs, for each engine thread. */
  readonly decodedAhead: number;
  /** Of the CPU time that a request takes besides decoding and network, what comes after it was admitted. */
  readonly answerShare: number;
  /** Share of the pictures admitted to be in time that may miss their deadline before admission becomes stricter. */
  readonly misses: number;
  /** What one missed deadline adds to the margin of admission. */
  readonly marginStep: number;
  /** The largest margin. */
  readonly mostMargin: number;
}

export const TUNING: Tuning = {
  horizons: 1.5,
  deviations: 1,
  decodedAhead: 4,
  answerShare: 0.5,
  misses: 0.01,
  marginStep: 0.01,
  mostMargin: 3,
};
