/** Products such as 0.07 x 100 come out a little too large, which must not be the next rank. */
const ROUNDING = 1e-9;

/**
 * By nearest rank: the smallest value that at least a share q of all values do not exceed. It is a value that was seen,
 * and of few values a high quantile is the largest: two runs cannot show what nineteen of twenty do not exceed. Of an even
 * number the median is the lower one of the two in the middle. sorted: smallest first; undefined if there is none.
 */
export function quantile(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.max(1, Math.ceil(q * sorted.length - ROUNDING)) - 1];
}

/** The same of values in any order. */
export const quantileOf = (values: readonly number[], q: number): number | undefined =>
  quantile(
    values.toSorted((a, b) => a - b),
    q,
  );
