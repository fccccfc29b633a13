/** How much memory a family may take so that its instances are faster. */

/**
 * `shared`: no batch norm is folded into weights, the least memory. `folded`: all that can be, the fastest. `auto`: as many as
 * take three quarters of the bytes that the family's tensors have without: less than two copies of the weights, however many
 * instances.
 */
export const WEIGHTS = ['auto', 'shared', 'folded'] as const;
export type Weights = (typeof WEIGHTS)[number];

/**
 * Bytes of folded weights at most, as a multiple of those of the family's tensors. Three quarters: with a whole more, 33
 * instances of PreResNet-50 on one thread took 1.52 times the memory of one, and were no faster; with a half, instances of
 * EfficientNet-Lite2 took 1.05 times their time alone, for 1.03.
 */
export const MOST_EXTRA: Readonly<Record<Weights, number>> = {
  auto: 0.75,
  shared: 0,
  folded: Number.POSITIVE_INFINITY,
};
