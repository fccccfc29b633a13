/**
 * Types and errors for reading the structure of a picture file before a loader sees it. The readers in this folder
 * reduce a file to its first picture, because loaders read more than they decode: libpng unpacks every text chunk (770
 * KB become 4 GB), libnsgif reads all frames, libtiff all pages. They also estimate the memory of the decode and refuse
 * pictures that would take far too long. Their time is linear in the file. Input is hostile.
 */
import { DimmerError } from '../../errors.js';

export type Kind = 'JPEG' | 'PNG' | 'WebP' | 'AVIF' | 'GIF' | 'TIFF';

export interface FirstPicture {
  readonly kind: Kind;
  /** A file of the same format with only that picture; the original bytes if nothing had to be removed. */
  readonly bytes: Buffer;
  /** Upper bound of the memory that decoding takes besides the file, in bytes; measured, see docs/pictures.md. */
  memoryBytes(pixels: PixelFacts): number;
}

/** Facts about the pixels, from the loader. */
export interface PixelFacts {
  readonly width: number;
  readonly height: number;
  /** All channels of a pixel together. */
  readonly bytesPerPixel: number;
  /** Shorter side over the needed input size, at least 1: how far the picture will be scaled down. */
  readonly shrink: number;
}

/**
 * Memory in bytes that libvips takes to resize pictures whose loader delivers row by row: it keeps up to 1570 rows, or
 * up to 2.2 times all rows of a picture with few rows (both measured; the constants leave some room).
 */
export const rowsBytes = ({ width, height, bytesPerPixel }: PixelFacts) =>
  Math.min(1700, 2.4 * height) * width * bytesPerPixel;

/**
 * Longer Exif data are cut to this length; the orientation, which is needed, comes first. Exif of a JPEG has at most 64
 * KiB (Exif 3.0, 4.7.2), so cameras write no more. Other formats have no limit, and libexif takes fourteen times the
 * length in memory.
 */
export const MAX_EXIF_BYTES = 65_536;

/**
 * The error for an intact file of a variant that is not supported. what: names the variant, as in "a TIFF of tiles".
 * expected: what is supported instead.
 */
export function unsupported(what: string, expected: string): DimmerError {
  return new DimmerError('unsupported-media', {
    detail: `the picture is ${what}, which is not read`,
    expected,
    action: 'convert it, for instance to JPEG or 8-bit PNG, and send that',
  });
}

/** The error for a file that is damaged, or whose decode would take far more time than that of a usual picture. */
export function invalid(detail: string, expected = 'a whole, undamaged picture'): DimmerError {
  return new DimmerError('invalid-image', {
    detail,
    expected,
    action: 'check that the upload was complete and that the file opens in a viewer; if it does, save it anew',
  });
}
