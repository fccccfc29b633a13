/** Tolerance for floating-point products: 0.07 x 100 is a little above 7, but the rank is 7. */
const ROUNDING = 1e-9;

/**
 * The q-quantile by nearest rank: the smallest value that at least a share q of all values does not exceed. So it is
 * always one of the values; of few values a high quantile is the maximum, and of an even number the median is the lower
 * of the two in the middle. sorted: smallest first. undefined if it is empty.
 */
export function quantile(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.max(1, Math.ceil(q * sorted.length - ROUNDING)) - 1];
}

/** The q-quantile (see `quantile`) of values in any order; undefined if there are none. */
export const quantileOf = (values: readonly number[], q: number): number | undefined =>
  quantile(
    values.toSorted((a, b) => a - b),
    q,
  );
