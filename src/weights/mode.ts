/** How much memory a family may take so that its instances are faster. */

/**
 * `shared`: no batch norm is folded into weights, the least memory. `folded`: all that can be, the fastest. `auto`: as many as
 * take three quarters of the bytes that the family's tensors have without: less than two copies of the weights, however many
 * instances.
 */
export const WEIGHTS = ['auto', 'shared', 'folded'] as const;
export type Weights = (typeof WEIGHTS)[number];

/**
 * Bytes of folded weights at most, as a multiple of those of the family's tensors. Three quarters: many instances stay below
 * one and a half times the memory of one, also on one thread, and are hardly slower than folded ones (docs/benchmarks.md).
 */
export const MOST_EXTRA: Readonly<Record<Weights, number>> = {
  auto: 0.75,
  shared: 0,
  folded: Number.POSITIVE_INFINITY,
};
