/** Pictures that are unusual, but whole: each has to come out as the raster that it was made from. */
import sharp from 'sharp';
import type { Header } from '../../../src/image/decode.js';
import { bytesOf, type Raster, ramps } from '../raster.js';

export interface Right {
  readonly name: string;
  readonly bytes: Buffer;
  readonly kind: Header['kind'];
  /** As it is to be seen. */
  readonly raster: Raster;
  /** Levels of 255 that a pixel may be off. */
  readonly tolerance: number;
}

export const [WIDTH, HEIGHT] = [48, 32];
export const RAMPS = ramps(WIDTH, HEIGHT);
export const LARGE = ramps(144, 96);
/** Of lossless pictures that are not resized: rounding alone. */
export const EXACT = 0.51;
/** Of pictures with profiles, of 16 bits, and of resized ones: rounding in each step. */
export const NEAR = 2;
/** Of lossy ones at high quality. */
export const LOSSY = 8;

/** A sample of a raster, 0..most. */
export const sampleOf = (raster: Raster, x: number, y: number, c: number, most = 255) =>
  Math.round(((raster.colour(x, y)[c] as number) * most) / 255);
export const raw = (raster: Raster) =>
  sharp(bytesOf(raster), { raw: { width: raster.width, height: raster.height, channels: 3 } });
/** Transparent to the left, half so in the middle. */
export const alphaAt = (x: number) => (x < 16 ? 0 : x < 32 ? 128 / 255 : 1);

/** A TIFF header with an orientation alone, as Exif begins. */
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
