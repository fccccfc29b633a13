/**
 * The first picture of a file, found by reading its structure: what the loader needs of the file, and nothing else.
 *
 * Loaders read more than they decode: libpng unpacks every text chunk (770 KB become 4 GB), libnsgif walks all frames,
 * libtiff all pages. What is not the first picture is left out before a loader sees the file, and what makes decoding
 * dear is counted. All of it is linear in the file. Input is hostile.
 */
import { DimmerError } from '../../errors.js';

export type Kind = 'JPEG' | 'PNG' | 'WebP' | 'AVIF' | 'GIF' | 'TIFF';

export interface FirstPicture {
  readonly kind: Kind;
  /** A file of the same kind with that picture alone; the same bytes where nothing had to go. */
  readonly bytes: Buffer;
  /** Bytes of memory that decoding takes at most besides the file: measured, see docs/pictures.md. */
  memoryBytes(pixels: PixelFacts): number;
}

/** What the loader says of the pixels. */
export interface PixelFacts {
  readonly width: number;
  readonly height: number;
  /** Of one pixel, all channels together. */
  readonly bytesPerPixel: number;
  /** How many times larger than needed the shorter side is, at least 1. */
  readonly shrink: number;
}

/** Loaders that hand over row by row: libvips keeps up to 1570 rows while it resizes; of low pictures up to 2.2 times all. */
export const rowsBytes = ({ width, height, bytesPerPixel }: PixelFacts) =>
  Math.min(1700, 2.4 * height) * width * bytesPerPixel;

/**
 * Exif is at most 64 KiB long in a JPEG (Exif 3.0, 4.7.2), so cameras write no more; other files could hold as much as
 * they have, and libexif takes fourteen times that. What is longer is cut: orientation comes first.
 */
export const MAX_EXIF_BYTES = 65_536;

/** A file that is whole, but of a kind that no loader here reads. */
export function unsupported(what: string, expected: string): DimmerError {
  return new DimmerError('unsupported-media', {
    detail: `the picture is ${what}, which is not read`,
    expected,
    action: 'convert it, for instance to JPEG or 8-bit PNG, and send that',
  });
}

/** A file that cannot be decoded, or only at a price that no honest picture has. */
export function invalid(detail: string, expected = 'a whole, undamaged picture'): DimmerError {
  return new DimmerError('invalid-image', {
    detail,
    expected,
    action: 'check that the upload was complete and that the file opens in a viewer; if it does, save it anew',
  });
}
