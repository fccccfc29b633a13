/** Pictures into one batch buffer, and logits back to pictures. Pure. */

/** Equally long uint8 pictures -> one buffer that can be handed to a thread; the one copy a picture goes through. */
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

/** logits [count, classes] -> count views of [classes]. */
export function scatter(logits: Float32Array, count: number): Float32Array[] {
  const classes = logits.length / count;
  if (!Number.isInteger(classes) || classes === 0)
    throw new Error(`${logits.length} logits cannot belong to ${count} pictures`);
  return Array.from({ length: count }, (_, i) => logits.subarray(i * classes, (i + 1) * classes));
}
