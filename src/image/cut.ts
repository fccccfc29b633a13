/** Uncompressed pixels, row by row: [height, width, channels]. */
export interface Raw {
  readonly data: Buffer;
  readonly info: { readonly width: number; readonly height: number; readonly channels: number };
}

export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Copies an area of an image to [height, width, channels]. Where the area reaches beyond the image, the nearest border
 * pixel is repeated.
 */
export function cut({ data, info }: Raw, { left, top, width, height }: Area): Buffer {
  const { channels } = info;
  const area = Buffer.alloc(width * height * channels);
  const [from, to] = [Math.max(0, left), Math.min(info.width, left + width)];
  for (let y = 0; y < height; y++) {
    const source = Math.min(info.height - 1, Math.max(0, top + y)) * info.width;
    const row = area.subarray(y * width * channels, (y + 1) * width * channels);
    data.copy(row, (from - left) * channels, (source + from) * channels, (source + to) * channels);
    const first = row.subarray((from - left) * channels, (from - left + 1) * channels);
    const last = row.subarray((to - left - 1) * channels, (to - left) * channels);
    if (from > left) row.fill(first, 0, (from - left) * channels);
    if (to < left + width) row.fill(last, (to - left) * channels);
  }
  return area;
}
