/** AVIF: what the primary picture of a HEIF file is made of. */
import { type FirstPicture, invalid, unsupported } from './first-picture.js';
import { type Items, propertyOf, readBrands, readItems } from './heif.js';

/** Brands of files that libheif reads; of them libvips takes a file for what its first brand says. */
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
/** Codecs of items, and what a file with them is. Only AV1 is read: no decoder for the others is built in. */
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
 * Phones make tiles of 512 pixels a side, 192 for 50 megapixels. Each is decoded by itself, which costs about as much
 * as 64 x 64 pixels however small it is.
 */
export const MAX_TILES = 1024;
/** Pixels that the codec keeps around a frame, and up to a whole block. */
const CODEC_BORDER = 256;
/** Of one coded frame, as sharp's libaom is built (CONFIG_SIZE_LIMIT). */
const MAX_CODED_SIDE = 16_384;
/** Tiles may reach beyond the picture, by less than one in each direction. */
const MAX_TILED_SHARE = 4;

/** undefined if these are no brands of HEIF. */
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
    bytes: plain(bytes, items),
    // The codec's frames, what they are turned into, and what libheif hands over, all whole.
    memoryBytes: ({ width, height }) => {
      const sampleBytes = (details?.bits ?? 12) > 8 ? 2 : 1;
      const samples = (details?.samples ?? 3) + (items.auxiliary.has(items.primary ?? 0) ? 1 : 0);
      return 1.25 * (13 + 2 * sampleBytes * samples) * (width + CODEC_BORDER) * (height + CODEC_BORDER);
    },
  };
}

/** Refuses what the codec does not take: another codec's data, frames too large, data that are missing. */
function checkFrame(items: Items, item: number): void {
  const codec = items.types.get(item) ?? 'none';
  if (codec !== 'av01') throw unsupported(CODECS[codec] ?? `a HEIF picture of codec ${printable(codec)}`, EXPECTED);
  // libheif leaves out the tiles that it cannot read, and says nothing.
  if ((items.ends.get(item) ?? 0) > items.fileBytes) throw invalid('the AVIF is cut off: some of its data are missing');
  const coded = propertyOf(items, item, 'width');
  if (coded && Math.max(coded.width, coded.height) > MAX_CODED_SIDE)
    throw unsupported(
      `an AVIF frame of ${coded.width} x ${coded.height}`,
      `at most ${MAX_CODED_SIDE} pixels a side, or a grid of such tiles`,
    );
}

/** Returns the tiles of a picture; none if it is whole. */
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

/** With a first brand that libvips knows as AVIF, and without Exif and XMP: HEIF turns by `irot`, not by Exif. */
function plain(bytes: Buffer, items: Items): Buffer {
  const metadata = [...items.types].filter(([, type]) => type === 'Exif' || type === 'mime');
  if (metadata.length === 0 && bytes.toString('latin1', 8, 12) === 'avif') return bytes;
  const copy = Buffer.from(bytes);
  copy.write('avif', 8, 'latin1');
  for (const [item] of metadata) copy.write('free', items.typeAt.get(item) as number, 'latin1');
  return copy;
}
