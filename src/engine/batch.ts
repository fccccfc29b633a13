/** Joins pictures to a batch, and splits its logits by picture. Pure. */

/**
 * Copies decoded pictures (uint8, all of one length) into one new buffer, which can be transferred to a thread. Raises
 * Error if lengths differ.
 */
export function stack(pictures: readonly Uint8Array[]): ArrayBuffer {
  const bytes = pictures[0]?.length ?? 0;
  const batch = new Uint8Array(bytes * pictures.length);
  pictures.forEach((picture, index) => {
    if (picture.length !== bytes)
      throw new Error(`picture ${index} has ${picture.length} bytes, the first has ${bytes}`);
    batch.set(picture, index * bytes);
  });
  return batch.buffer;
}

/**
 * Logits [count, classes] -> one view [classes] for each picture. Raises Error if count does not divide their number.
 */
export function scatter(logits: Float32Array, count: number): Float32Array[] {
  const classes = logits.length / count;
  if (!Number.isInteger(classes) || classes === 0)
    throw new Error(`${logits.length} logits cannot belong to ${count} pictures`);
  return Array.from({ length: count }, (_, i) => logits.subarray(i * classes, (i + 1) * classes));
}
