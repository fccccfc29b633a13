/** Rasters with known colours, which change linearly along both sides, so that resizing does not change them. */
import type { ResizeRule } from '../../src/family/instance.js';

export type Rgb = readonly [number, number, number];

/** A raster as a function from place to colour; places may be fractions, (0, 0) is the centre of the first pixel. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  colour(x: number, y: number): Rgb;
}

/** Red rises to the right, green downwards, blue along the diagonal; all stay within 10..245. */
export function ramps(width: number, height: number): Raster {
  const [a, b] = [235 / Math.max(1, width - 1), 235 / Math.max(1, height - 1)];
  return { width, height, colour: (x, y) => [10 + a * x, 10 + b * y, 245 - (a * x + b * y) / 2] };
}

export const grey = (raster: Raster): Raster => ({
  ...raster,
  colour: (x, y) => {
    const [red] = raster.colour(x, y);
    return [red, red, red];
  },
});

/** The raster with each colour rounded to `bits` bits. */
export const coarse = (raster: Raster, bits: number): Raster => ({
  ...raster,
  colour: (x, y) => {
    const most = 2 ** bits - 1;
    const [red, green, blue] = raster.colour(x, y).map((v) => (Math.round((v * most) / 255) * 255) / most);
    return [red, green, blue] as Rgb;
  },
});

/** The raster blended with white by `alpha` (0 to 1). */
export const onWhite = (raster: Raster, alpha: (x: number, y: number) => number): Raster => ({
  ...raster,
  colour: (x, y) => {
    const a = alpha(x, y);
    const [red, green, blue] = raster.colour(x, y);
    return [255 + a * (red - 255), 255 + a * (green - 255), 255 + a * (blue - 255)];
  },
});

/** The raster after rotation or mirroring by an Exif orientation (Exif 3.0, 4.6.5.1.6). */
export function turned(raster: Raster, orientation: number): Raster {
  const [w, h] = [raster.width - 1, raster.height - 1];
  const from: Record<number, (x: number, y: number) => [number, number]> = {
    1: (x, y) => [x, y],
    2: (x, y) => [w - x, y],
    3: (x, y) => [w - x, h - y],
    4: (x, y) => [x, h - y],
    5: (x, y) => [y, x],
    6: (x, y) => [y, h - x],
    7: (x, y) => [w - y, h - x],
    8: (x, y) => [w - y, x],
  };
  const place = from[orientation];
  if (!place) throw new Error(`no orientation ${orientation}`);
  const sides = orientation >= 5 ? { width: raster.height, height: raster.width } : raster;
  return { width: sides.width, height: sides.height, colour: (x, y) => raster.colour(...place(x, y)) };
}

/** The raster as samples [height, width, 3], each 0 to `most`. */
export function samples(raster: Raster, most = 255): number[] {
  const all: number[] = [];
  for (let y = 0; y < raster.height; y++)
    for (let x = 0; x < raster.width; x++)
      for (const value of raster.colour(x, y)) all.push(Math.round((value * most) / 255));
  return all;
}

export const bytesOf = (raster: Raster): Buffer => Buffer.from(samples(raster));

/**
 * The largest difference between pixels [crop, crop, 3] and the raster after the resize rule: shorter side to `size`,
 * then the centred square. The border of a resized picture is left out, because kernels reach beyond it.
 */
export function worstDifference(pixels: Uint8Array, raster: Raster, { size, crop }: ResizeRule): number {
  const { width, height } = raster;
  const place = (output: number, length: number) => {
    const whole = Math.max(size, Math.round((length * size) / Math.min(width, height)));
    const before = Math.floor((whole - size + 1) / 2) + Math.floor((size - crop) / 2);
    return ((before + output + 0.5) * length) / whole - 0.5;
  };
  const margin = Math.min(width, height) === size ? 0 : 3 * Math.max(1, Math.min(width, height) / size);
  const inside = (at: number, length: number) => at >= margin && at <= length - 1 - margin;
  let worst = 0;
  for (let y = 0; y < crop; y++)
    for (let x = 0; x < crop; x++) {
      const [atX, atY] = [place(x, width), place(y, height)];
      if (!inside(atX, width) || !inside(atY, height)) continue;
      raster.colour(atX, atY).forEach((value, c) => {
        worst = Math.max(worst, Math.abs((pixels[(y * crop + x) * 3 + c] as number) - value));
      });
    }
  return worst;
}
