/**
 * Softmax of logits divided by a temperature. The largest logit is subtracted first, so that exp does not overflow.
 * Raises RangeError if the largest logit is not finite: then the network is broken, and any probability would be wrong.
 */
export function softmax(logits: Float32Array, temperature: number): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(largest)) throw new RangeError(`logits are not finite: the largest is ${largest}`);
  const result = Float64Array.from(logits, (x) => Math.exp((x - largest) / temperature));
  const sum = result.reduce((a, b) => a + b, 0);
  return result.map((x) => x / sum);
}

/** Indices of the `count` largest values, largest first; equal values by index. */
export function topIndices(values: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => (values[b] as number) - (values[a] as number) || a - b)
    .slice(0, count);
}
