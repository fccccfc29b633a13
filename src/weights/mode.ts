/** How much memory a family may take for folded batch norms, which make runs faster but need weights of their own. */

/**
 * `shared`: no batch norm is folded, the least memory. `folded`: every batch norm that can be is folded, the fastest
 * runs. `auto`: batch norms are folded as long as their weights take at most MOST_EXTRA of the family's tensors, so
 * that a family takes less than two copies of its weights, however many instances it has.
 */
export const WEIGHTS = ['auto', 'shared', 'folded'] as const;
export type Weights = (typeof WEIGHTS)[number];

/**
 * Upper bound of the bytes of folded weights, as a multiple of the bytes of the family's tensors. With 0.75 a family of
 * many instances takes less than 1.5 times the memory of one instance, also with one engine thread, and runs are hardly
 * slower than with all batch norms folded (docs/benchmarks.md).
 */
export const MOST_EXTRA: Readonly<Record<Weights, number>> = {
  auto: 0.75,
  shared: 0,
  folded: Number.POSITIVE_INFINITY,
};
