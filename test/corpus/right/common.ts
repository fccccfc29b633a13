/** Unusual but valid pictures: decoding each has to give the raster that it was made from. */
import sharp from 'sharp';
import type { Header } from '../../../src/image/decode.js';
import { bytesOf, type Raster, ramps } from '../raster.js';

export interface Right {
  readonly name: string;
  readonly bytes: Buffer;
  readonly kind: Header['kind'];
  /** The raster that decoding has to give. */
  readonly raster: Raster;
  /** Largest allowed difference of a pixel, in levels of 0 to 255. */
  readonly tolerance: number;
}

export const [WIDTH, HEIGHT] = [48, 32];
export const RAMPS = ramps(WIDTH, HEIGHT);
export const LARGE = ramps(144, 96);
/** Tolerance for lossless pictures that are not resized: rounding alone. */
export const EXACT = 0.51;
/** Tolerance for pictures with profiles or 16 bits, and for resized ones: rounding in each step. */
export const NEAR = 2;
/** Tolerance for lossy pictures of high quality. */
export const LOSSY = 8;

/** A sample of a raster, 0 to `most`. */
export const sampleOf = (raster: Raster, x: number, y: number, c: number, most = 255) =>
  Math.round(((raster.colour(x, y)[c] as number) * most) / 255);
export const raw = (raster: Raster) =>
  sharp(bytesOf(raster), { raw: { width: raster.width, height: raster.height, channels: 3 } });
/** Alpha at column x: 0 on the left, one half in the middle, 1 on the right. */
export const alphaAt = (x: number) => (x < 16 ? 0 : x < 32 ? 128 / 255 : 1);

/** Exif data with an orientation only: a TIFF header with one tag. */
export function exif(orientation: number, bigEndian = false): Buffer {
  const little = Buffer.from(
    `49492a000800000001001201030001000000${orientation.toString(16).padStart(2, '0')}00000000000000`,
    'hex',
  );
  if (!bigEndian) return little;
  return Buffer.from(
    `4d4d002a000000080001011200030000000100${orientation.toString(16).padStart(2, '0')}000000000000`,
    'hex',
  );
}
