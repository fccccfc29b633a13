/** Expected shortage: how many arrivals exceed a given capacity on average. Pure. */

/** A normal variable is farther than this many standard deviations from its mean about once in 10^12. */
const CERTAIN = 7;

/**
 * The mean of max(0, X - room), where X is normal with this mean and standard deviation: the expected shortage of the
 * newsvendor problem.
 */
export function expectedShortage(mean: number, deviation: number, room: number): number {
  const z = (room - mean) / deviation;
  if (!(Math.abs(z) < CERTAIN)) return Math.max(0, mean - room); // as good as certain, or the deviation is 0
  return deviation * (density(z) - z * (1 - distribution(z)));
}

const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

/** Distribution function of the standard normal, with an error below 1e-7: Abramowitz and Stegun 26.2.17. */
function distribution(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    density(z) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z < 0 ? tail : 1 - tail;
}
