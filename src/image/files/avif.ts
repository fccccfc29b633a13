/** AVIF: the boxes of HEIF (ISO/IEC 23008-12) that say what the primary picture is made of. */
import { type FirstPicture, invalid, unsupported } from './first-picture.js';

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

interface Box {
  readonly type: string;
  /** Of its content. */
  readonly start: number;
  readonly end: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

interface Items {
  primary: number | undefined;
  readonly types: Map<number, string>;
  /** Where each type is written. */
  readonly typeAt: Map<number, number>;
  /** From derived picture to what it is made of. */
  readonly parts: Map<number, number[]>;
  /** From picture to its alpha or depth. */
  readonly auxiliary: Map<number, number[]>;
  readonly properties: (Size | { readonly bits: number; readonly samples: number } | undefined)[];
  readonly propertiesOf: Map<number, number[]>;
}

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

/** Returns the tiles of a picture; none if it is whole. */
function tilesOf(items: Items, picture: number): readonly number[] {
  const type = items.types.get(picture);
  const tiles = type === 'grid' ? (items.parts.get(picture) ?? []) : [];
  for (const item of type === 'grid' ? tiles : [picture]) {
    const codec = items.types.get(item) ?? 'none';
    if (codec !== 'av01') throw unsupported(CODECS[codec] ?? `a HEIF picture of codec ${printable(codec)}`, EXPECTED);
    const coded = propertyOf(items, item, 'width');
    if (coded && Math.max(coded.width, coded.height) > MAX_CODED_SIDE)
      throw unsupported(
        `an AVIF frame of ${coded.width} x ${coded.height}`,
        `at most ${MAX_CODED_SIDE} pixels a side, or a grid of such tiles`,
      );
  }
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

type Property = Exclude<Items['properties'][number], undefined>;
function propertyOf<K extends 'bits' | 'width'>(items: Items, item: number, member: K) {
  for (const index of items.propertiesOf.get(item) ?? []) {
    const property = items.properties[index - 1];
    if (property && member in property) return property as Extract<Property, Record<K, number>>;
  }
  return undefined;
}

/** With a first brand that libvips knows as AVIF, and without Exif and XMP: HEIF turns by `irot`, not by Exif. */
function plain(bytes: Buffer, items: Items): Buffer {
  const metadata = [...items.types].filter(([, type]) => type === 'Exif' || type === 'mime');
  if (metadata.length === 0 && bytes.toString('latin1', 8, 12) === 'avif') return bytes;
  const copy = Buffer.from(bytes);
  copy.write('avif', 8, 'latin1');
  for (const [item] of metadata) copy.write('free', items.typeAt.get(item) as number, 'latin1');
  return copy;
}

function readBrands(bytes: Buffer): string[] {
  const ftyp = boxes(bytes, 0, bytes.length, 1)[0];
  if (ftyp?.type !== 'ftyp') return [];
  const brands: string[] = [];
  // The first, its version, and those it is compatible with.
  for (let at = ftyp.start; at + 4 <= ftyp.end && brands.length < 64; at += 4)
    brands.push(bytes.toString('latin1', at, at + 4));
  return brands.filter((_, n) => n !== 1);
}

/** Boxes that lie whole within [start, end), at most `most`. */
function boxes(bytes: Buffer, start: number, end: number, most = Number.POSITIVE_INFINITY): Box[] {
  const found: Box[] = [];
  let at = start;
  while (at + 8 <= end && found.length < most) {
    const box = boxAt(bytes, at, end);
    if (box.end > end || box.end < box.start) break;
    found.push(box);
    at = box.end;
  }
  return found;
}

/** A length of 1 says that it follows the type, in 64 bits; 0 that the box reaches to the end. */
function boxAt(bytes: Buffer, at: number, end: number): Box {
  const length = bytes.readUInt32BE(at);
  const type = bytes.toString('latin1', at + 4, at + 8);
  if (length === 1) return { type, start: at + 16, end: at + Number(bytes.readBigUInt64BE(at + 8)) };
  return { type, start: at + 8, end: length === 0 ? end : at + length };
}

function readItems(bytes: Buffer): Items {
  const items: Items = {
    primary: undefined,
    types: new Map(),
    typeAt: new Map(),
    parts: new Map(),
    auxiliary: new Map(),
    properties: [],
    propertiesOf: new Map(),
  };
  const meta = boxes(bytes, 0, bytes.length).find(({ type }) => type === 'meta');
  if (!meta) return items;
  // What a box says beyond its end is not there: RangeError, and the loader says what is wrong with the file.
  const readers: Record<string, (box: Box) => void> = {
    pitm: ({ start }) => {
      items.primary = bytes[start] === 0 ? bytes.readUInt16BE(start + 4) : bytes.readUInt32BE(start + 4);
    },
    iinf: (box) => readTypes(bytes, box, items),
    iref: (box) => readReferences(bytes, box, items),
    iprp: (box) => readProperties(bytes, box, items),
  };
  for (const box of boxes(bytes, meta.start + 4, meta.end)) readers[box.type]?.(box);
  return items;
}

/** Each: version, flags, identifier (of 16 bits, in version 3 of 32), protection, type. */
function readTypes(bytes: Buffer, { start, end }: Box, items: Items): void {
  for (const box of boxes(bytes, start + (bytes[start] === 0 ? 6 : 8), end)) {
    const idBytes = bytes[box.start] === 3 ? 4 : 2;
    const at = box.start + 4 + idBytes + 2;
    if (box.type !== 'infe' || at + 4 > box.end) continue;
    const id = bytes.readUIntBE(box.start + 4, idBytes);
    items.types.set(id, bytes.toString('latin1', at, at + 4));
    items.typeAt.set(id, at);
  }
}

function readReferences(bytes: Buffer, { start, end }: Box, items: Items): void {
  const idBytes = bytes[start] === 0 ? 2 : 4;
  for (const box of boxes(bytes, start + 4, end)) {
    const from = bytes.readUIntBE(box.start, idBytes);
    const to: number[] = [];
    for (let at = box.start + idBytes + 2; at + idBytes <= box.end; at += idBytes)
      to.push(bytes.readUIntBE(at, idBytes));
    if (box.type === 'dimg') items.parts.set(from, to);
    if (box.type === 'auxl')
      for (const of of to) items.auxiliary.set(of, [...(items.auxiliary.get(of) ?? []).slice(0, 8), from]);
  }
}

function readProperties(bytes: Buffer, { start, end }: Box, items: Items): void {
  for (const box of boxes(bytes, start, end)) {
    if (box.type === 'ipco')
      for (const one of boxes(bytes, box.start, box.end)) items.properties.push(property(bytes, one));
    if (box.type === 'ipma') readAssociations(bytes, box, items);
  }
}

function property(bytes: Buffer, { type, start, end }: Box): Items['properties'][number] {
  if (type === 'ispe' && start + 12 <= end)
    return { width: bytes.readUInt32BE(start + 4), height: bytes.readUInt32BE(start + 8) };
  if (type !== 'av1C' || start + 4 > end) return undefined;
  const flags = bytes[start + 2] as number;
  const bits = flags & 0x40 ? (flags & 0x20 ? 12 : 10) : 8;
  const samples = flags & 0x10 ? 1 : flags & 0x08 ? (flags & 0x04 ? 1.5 : 2) : 3;
  return { bits, samples };
}

function readAssociations(bytes: Buffer, { start, end }: Box, items: Items): void {
  const [idBytes, wide] = [bytes[start] === 0 ? 2 : 4, ((bytes[start + 3] as number) & 1) === 1];
  let at = start + 8;
  while (at + idBytes + 1 <= end) {
    const id = bytes.readUIntBE(at, idBytes);
    const count = bytes[at + idBytes] as number;
    at += idBytes + 1;
    const indices: number[] = [];
    for (let n = 0; n < count && at < end; n++, at += wide ? 2 : 1)
      indices.push(wide ? bytes.readUInt16BE(at) & 0x7fff : (bytes[at] as number) & 0x7f);
    items.propertiesOf.set(id, indices);
  }
}
