/** Pixels [side, side, channels] of an image with rows of `width` pixels, from (left, top) on. */
export function cut(
  image: Buffer,
  { width, channels }: { readonly width: number; readonly channels: number },
  { left, top, side }: { readonly left: number; readonly top: number; readonly side: number },
): Buffer {
  const first = (row: number) => ((top + row) * width + left) * channels;
  return Buffer.concat(Array.from({ length: side }, (_, n) => image.subarray(first(n), first(n) + side * channels)));
}
