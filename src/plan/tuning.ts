/**
 * The constants of the plan and of admission. docs/scheduling.md says of each what too low and too high do;
 * bench/virtual/sweep.ts tries others, in bench/results/sweep.json.
 */
export interface Tuning {
  /**
   * What is expected within the horizon, the time until the last waiting picture is due, is lost as far as it is not done
   * within so many horizons. The last of it is due two horizons from now, the first of it one.
   */
  readonly horizons: number;
  /** Pictures that are decoded, or being so, ahead of their runs, for each engine thread. */
  readonly decodedAhead: number;
  /** Under overload there has to be time for a full batch if a picture alone takes so many times the CPU of one in it. */
  readonly batchSaving: number;
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
  decodedAhead: 4,
  batchSaving: 1.25,
  answerShare: 0.5,
  misses: 0.01,
  marginStep: 0.01,
  mostMargin: 3,
};
