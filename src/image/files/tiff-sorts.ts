/** Refuses variants of TIFF that libvips decodes to wrong pixels or misreports as damaged. */
import { unsupported } from './first-picture.js';

const EXPECTED = 'a TIFF of 8 or 16 unsigned bits for a sample: grey, palette, RGB or CMYK';

/** Numbers of the tags that are read (TIFF 6.0, section 8). */
export const TAG = {
  subfileType: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  samples: 277,
  rowsPerStrip: 278,
  planar: 284,
  tileWidth: 322,
  tileHeight: 323,
  format: 339,
} as const;

/** Tag number -> its first value. */
export type Tags = ReadonlyMap<number, number>;

/** Names of compression methods that sharp's libtiff does not read. */
const COMPRESSIONS: Record<number, string> = {
  6: 'compressed with old-style JPEG',
  34676: 'compressed with SGILog',
  34677: 'compressed with SGILog',
  34712: 'compressed with JPEG 2000',
  33003: 'compressed with JPEG 2000',
  33005: 'compressed with JPEG 2000',
  34661: 'compressed with JBIG',
  34887: 'compressed with LERC',
  34925: 'compressed with LZMA',
  50000: 'compressed with Zstandard',
  50001: 'compressed with WebP',
  50002: 'compressed with JPEG XL',
  52546: 'compressed with JPEG XL',
};
/** Compression methods that sharp's libtiff reads. */
const READ_COMPRESSIONS = new Set([1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946]);

/** Names of sample formats that are not supported. */
const FORMATS: Record<number, string> = {
  2: 'signed integer',
  3: 'floating-point',
  5: 'complex integer',
  6: 'complex floating-point',
};

/**
 * Photometric interpretations that are decoded correctly. samples: per pixel, without alpha. leastBits: smallest number
 * of bits of a sample.
 */
const COLOURS: Record<number, { readonly samples: number; readonly leastBits: number }> = {
  0: { samples: 1, leastBits: 1 }, // grey, 0 is white
  1: { samples: 1, leastBits: 1 }, // grey, 0 is black
  2: { samples: 3, leastBits: 8 }, // RGB
  3: { samples: 1, leastBits: 1 }, // palette
  5: { samples: 4, leastBits: 8 }, // CMYK
  6: { samples: 3, leastBits: 8 }, // YCbCr
};
/** Names of photometric interpretations that are not supported. */
const OTHER_COLOURS: Record<number, string> = {
  4: 'that is a mask of transparency',
  8: 'in Lab',
  9: 'in Lab',
  10: 'in Lab',
  32803: 'of a camera sensor, not developed',
  32844: 'in LogLuv',
  32845: 'in LogLuv',
  34892: 'of a camera sensor, not developed',
};
/** Values of the tags compression (JPEG) and planar (SEPARATE planes). */
export const [JPEG, SEPARATE] = [7, 2];
const [YCBCR, PALETTE, BLACK_IS_ZERO] = [6, 3, 1];

/** Raises DimmerError unsupported-media for a variant that is not supported. */
export function checkTiff(tags: Tags): void {
  const { subfileType, compression } = TAG;
  // NewSubfileType, bit 0: the page is a thumbnail of another picture in the file. Raw files of cameras begin so.
  if ((tags.get(subfileType) ?? 0) & 1)
    throw unsupported(
      'a TIFF that begins with a thumbnail, as raw files of cameras do',
      'a TIFF whose first page is the picture',
    );
  const method = tags.get(compression) ?? 1;
  if (!READ_COMPRESSIONS.has(method))
    throw unsupported(
      `a TIFF ${COMPRESSIONS[method] ?? `of compression ${method}`}`,
      'a TIFF uncompressed, or compressed with LZW, Deflate, JPEG or PackBits',
    );
  const sort = otherSamples(tags) ?? otherColour(tags);
  if (sort) throw unsupported(`a TIFF ${sort}`, EXPECTED);
}

/** Description of an unsupported sample layout; undefined if it is supported. */
function otherSamples(tags: Tags): string | undefined {
  const [bits, format] = [tags.get(TAG.bits) ?? 1, tags.get(TAG.format) ?? 1];
  if (format in FORMATS) return `of ${FORMATS[format]} samples`;
  if (![1, 2, 4, 8, 16].includes(bits)) return `of ${bits} bits for a sample`;
  if (tags.get(TAG.planar) === SEPARATE && tags.has(TAG.tileWidth)) return 'of tiles with separate planes';
  return undefined;
}

/** Description of an unsupported colour interpretation; undefined if it is supported. */
function otherColour(tags: Tags): string | undefined {
  const photometric = tags.get(TAG.photometric) ?? BLACK_IS_ZERO;
  const [bits, samples] = [tags.get(TAG.bits) ?? 1, tags.get(TAG.samples) ?? 1];
  const colour = COLOURS[photometric];
  if (!colour) return OTHER_COLOURS[photometric] ?? `of photometric interpretation ${photometric}`;
  if (bits < (samples > 1 ? 8 : colour.leastBits)) return `in colour of ${bits} bits for a sample`;
  // One more sample is alpha, which a palette cannot have.
  const most = colour.samples + (photometric === PALETTE ? 0 : 1);
  if (samples > most) return `of ${samples} samples for a pixel, where ${most} are known`;
  // The loader would take YCbCr samples for RGB; with JPEG compression, libjpeg converts them.
  if (photometric === YCBCR && tags.get(TAG.compression) !== JPEG) return 'in YCbCr without JPEG';
  return undefined;
}
