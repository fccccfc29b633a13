/** How much of what comes there is no room for. Pure. */

/** Standard deviations beyond which a normal variable is hardly ever: once in 10^12. */
const CERTAIN = 7;

/**
 * By how much a normal variable exceeds `room` on average, 0 where it does not: the expected shortage of the newsvendor
 * problem.
 */
export function expectedShortage(mean: number, deviation: number, room: number): number {
  const z = (room - mean) / deviation;
  if (!(Math.abs(z) < CERTAIN)) return Math.max(0, mean - room); // as good as certain, or no deviation at all
  return deviation * (density(z) - z * (1 - distribution(z)));
}

const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

/** Of the standard normal: Abramowitz and Stegun 26.2.17, to 1e-7. */
function distribution(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    density(z) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z < 0 ? tail : 1 - tail;
}
