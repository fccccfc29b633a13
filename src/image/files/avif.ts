/** AVIF: finds the primary picture of a HEIF file and checks that it can be decoded. */
import { type FirstPicture, invalid, unsupported } from './first-picture.js';
import { type Items, propertyOf, readBrands, readItems } from './heif.js';

/** Brands (of the ftyp box) of files that libheif reads. */
const BRANDS = new Set([
  'avif',
  'avis',
  'mif1',
  'msf1',
  'miaf',
  'MA1A',
  'MA1B',
  'heic',
  'heix',
  'hevc',
  'hevx',
  'heim',
  'heis',
  'mif2',
]);
/** Codec of an item -> what a file with it is called. Only AV1 is supported: sharp has no decoder for the others. */
const CODECS: Record<string, string> = {
  hvc1: 'a HEIC picture (HEVC)',
  hev1: 'a HEIC picture (HEVC)',
  lhv1: 'a HEIC picture (layered HEVC)',
  vvc1: 'a HEIF picture of VVC',
  avc1: 'a HEIF picture of H.264',
  jpeg: 'a HEIF picture of JPEG',
  j2k1: 'a HEIF picture of JPEG 2000',
  unci: 'a HEIF picture without compression',
  iovl: 'a HEIF overlay of several pictures',
  iden: 'a HEIF picture derived from another',
};
const EXPECTED = 'an AVIF picture: HEIF with AV1';
/**
 * Upper bound of tiles. Phones make tiles of 512 x 512 pixels, 192 for 50 megapixels. Each tile costs at least as much
 * as decoding 64 x 64 pixels, so more tiles would be an attack.
 */
export const MAX_TILES = 1024;
/** Pixels that the codec adds to width and height: a border and the rest of the last block. */
const CODEC_BORDER = 256;
/** Largest side of a coded frame in pixels, as sharp's libaom is built (CONFIG_SIZE_LIMIT). */
const MAX_CODED_SIDE = 16_384;
/**
 * Upper bound of the pixels of all tiles over those of the picture: tiles reach beyond it by less than one tile a side.
 */
const MAX_TILED_SHARE = 4;

/**
 * Reads a HEIF file; undefined if its brands are not of HEIF. Raises DimmerError unsupported-media or invalid-image for
 * what cannot be decoded.
 */
export function readAvif(bytes: Buffer): FirstPicture | undefined {
  const brands = readBrands(bytes);
  if (!brands.some((brand) => BRANDS.has(brand))) return undefined;
  const items = readItems(bytes);
  if (items.primary === undefined) {
    if (brands.includes('avis') || brands.includes('msf1'))
      throw unsupported('an image sequence without a still picture', 'an AVIF still picture, or a sequence with one');
    throw brands.some((brand) => brand.startsWith('he'))
      ? unsupported('a HEIC picture (HEVC)', EXPECTED)
      : invalid('the AVIF picture has no primary item, or is cut off before it');
  }
  const tiles = tilesOf(items, items.primary);
  for (const auxiliary of items.auxiliary.get(items.primary) ?? []) tilesOf(items, auxiliary);
  const details = [items.primary, ...tiles].map((item) => propertyOf(items, item, 'bits')).find(Boolean);
  return {
    kind: 'AVIF',
    bytes: withoutMetadata(bytes, items),
    // Frames of the codec, the converted picture and libheif's output are each in memory as a whole.
    memoryBytes: ({ width, height }) => {
      const sampleBytes = (details?.bits ?? 12) > 8 ? 2 : 1;
      const samples = (details?.samples ?? 3) + (items.auxiliary.has(items.primary ?? 0) ? 1 : 0);
      return 1.25 * (13 + 2 * sampleBytes * samples) * (width + CODEC_BORDER) * (height + CODEC_BORDER);
    },
  };
}

/** Raises DimmerError if a frame cannot be decoded: another codec, too large, or data missing. */
function checkFrame(items: Items, item: number): void {
  const codec = items.types.get(item) ?? 'none';
  if (codec !== 'av01') throw unsupported(CODECS[codec] ?? `a HEIF picture of codec ${printable(codec)}`, EXPECTED);
  // libheif would silently leave out tiles whose data are missing.
  if ((items.ends.get(item) ?? 0) > items.fileBytes) throw invalid('the AVIF is cut off: some of its data are missing');
  const coded = propertyOf(items, item, 'width');
  if (coded && Math.max(coded.width, coded.height) > MAX_CODED_SIDE)
    throw unsupported(
      `an AVIF frame of ${coded.width} x ${coded.height}`,
      `at most ${MAX_CODED_SIDE} pixels a side, or a grid of such tiles`,
    );
}

/** Checks a picture's frames and returns its tiles; none if it is not tiled. */
function tilesOf(items: Items, picture: number): readonly number[] {
  const type = items.types.get(picture);
  const tiles = type === 'grid' ? (items.parts.get(picture) ?? []) : [];
  for (const item of type === 'grid' ? tiles : [picture]) checkFrame(items, item);
  if (tiles.length > MAX_TILES)
    throw invalid(`the AVIF picture has ${tiles.length} tiles`, `at most ${MAX_TILES} tiles`);
  const area = (item: number) => {
    const size = propertyOf(items, item, 'width');
    return size ? size.width * size.height : 0;
  };
  const tiled = tiles.reduce((sum, tile) => sum + area(tile), 0);
  if (tiled > MAX_TILED_SHARE * area(picture))
    throw invalid(
      `the AVIF picture's tiles have ${tiled} pixels, itself ${area(picture)}`,
      'tiles that cover the picture',
    );
  return tiles;
}

const printable = (code: string) => (/^[\x20-\x7e]{4}$/.test(code) ? code : 'unknown');

/**
 * A copy without Exif and XMP items, because HEIF is rotated by its `irot` property and not by Exif, and with `avif` as
 * the first brand, by which libvips recognises the format. The same bytes if nothing has to change.
 */
function withoutMetadata(bytes: Buffer, items: Items): Buffer {
  const metadata = [...items.types].filter(([, type]) => type === 'Exif' || type === 'mime');
  if (metadata.length === 0 && bytes.toString('latin1', 8, 12) === 'avif') return bytes;
  const copy = Buffer.from(bytes);
  copy.write('avif', 8, 'latin1');
  for (const [item] of metadata) copy.write('free', items.typeAt.get(item) as number, 'latin1');
  return copy;
}
