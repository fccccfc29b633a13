/** HEIF: reads the boxes that describe the items of a file (ISO/IEC 23008-12, 14496-12). */

/** Upper bound of boxes within a box, as each takes memory; libheif refuses files with more (max_children_per_box). */
const MAX_CHILDREN = 20_000;

interface Box {
  readonly type: string;
  /** Offsets of its content in the file: first byte, and the byte after the last. */
  readonly start: number;
  readonly end: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The items of a file, by item number. */
export interface Items {
  readonly fileBytes: number;
  /** Number of the primary picture. */
  primary: number | undefined;
  /** Item -> type of four letters: its codec, `grid`, `Exif` and so on. */
  readonly types: Map<number, string>;
  /** Item -> offset in the file at which its type is written. */
  readonly typeAt: Map<number, number>;
  /** Derived picture (such as a grid) -> the items that it is made of. */
  readonly parts: Map<number, number[]>;
  /** Picture -> its auxiliary pictures: alpha, depth. */
  readonly auxiliary: Map<number, number[]>;
  /** Item -> offset in the file at which its data end. */
  readonly ends: Map<number, number>;
  /** Size or sample format; undefined for properties that are not read. */
  readonly properties: (Size | { readonly bits: number; readonly samples: number } | undefined)[];
  /** Item -> its properties, as indices into `properties`, counted from 1. */
  readonly propertiesOf: Map<number, number[]>;
}

type Property = Exclude<Items['properties'][number], undefined>;
/** The first property of an item that has this member; undefined if there is none. */
export function propertyOf<K extends 'bits' | 'width'>(items: Items, item: number, member: K) {
  for (const index of items.propertiesOf.get(item) ?? []) {
    const property = items.properties[index - 1];
    if (property && member in property) return property as Extract<Property, Record<K, number>>;
  }
  return undefined;
}

/** The major brand and the compatible brands of a file that begins with an `ftyp` box, which may be cut off. */
export function readBrands(bytes: Buffer): string[] {
  const ftyp = boxAt(bytes, 0, bytes.length);
  const brands: string[] = [];
  // The major brand, its version, and the compatible brands, four bytes each.
  for (let at = ftyp.start; at + 4 <= Math.min(ftyp.end, bytes.length) && brands.length < 64; at += 4)
    brands.push(bytes.toString('latin1', at, at + 4));
  return brands.filter((_, n) => n !== 1);
}

/** The boxes that lie completely within [start, end). */
function boxes(bytes: Buffer, start: number, end: number): Box[] {
  const found: Box[] = [];
  let at = start;
  while (at + 8 <= end && found.length < MAX_CHILDREN) {
    const box = boxAt(bytes, at, end);
    if (box.end > end || box.end < box.start) break;
    found.push(box);
    at = box.end;
  }
  return found;
}

/**
 * The box at an offset. A length of 1 means that a length of 64 bits follows the type; 0 that the box ends at `end`.
 */
function boxAt(bytes: Buffer, at: number, end: number): Box {
  const length = bytes.readUInt32BE(at);
  const type = bytes.toString('latin1', at + 4, at + 8);
  if (length === 1) return { type, start: at + 16, end: at + Number(bytes.readBigUInt64BE(at + 8)) };
  return { type, start: at + 8, end: length === 0 ? end : at + length };
}

/** Reads the items of a file. Raises RangeError if a box says more than the file has. */
export function readItems(bytes: Buffer): Items {
  const items: Items = {
    fileBytes: bytes.length,
    primary: undefined,
    types: new Map(),
    typeAt: new Map(),
    parts: new Map(),
    auxiliary: new Map(),
    ends: new Map(),
    properties: [],
    propertiesOf: new Map(),
  };
  const meta = boxes(bytes, 0, bytes.length).find(({ type }) => type === 'meta');
  if (!meta) return items;
  const readers: Record<string, (box: Box) => void> = {
    pitm: ({ start }) => {
      items.primary = bytes[start] === 0 ? bytes.readUInt16BE(start + 4) : bytes.readUInt32BE(start + 4);
    },
    iloc: (box) => readPlaces(bytes, box, items),
    iinf: (box) => readTypes(bytes, box, items),
    iref: (box) => readReferences(bytes, box, items),
    iprp: (box) => readProperties(bytes, box, items),
  };
  for (const box of boxes(bytes, meta.start + 4, meta.end)) readers[box.type]?.(box);
  return items;
}

/** Reads item types. An entry has version, flags, item number (16 bits; 32 in version 3), protection and type. */
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
    for (let at = box.start + idBytes + 2; at + idBytes <= box.end && to.length < MAX_CHILDREN; at += idBytes)
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
  while (at + idBytes + 1 <= end && items.propertiesOf.size < MAX_CHILDREN) {
    const id = bytes.readUIntBE(at, idBytes);
    const count = bytes[at + idBytes] as number;
    at += idBytes + 1;
    const indices: number[] = [];
    for (let n = 0; n < count && at < end; n++, at += wide ? 2 : 1)
      indices.push(wide ? bytes.readUInt16BE(at) & 0x7fff : (bytes[at] as number) & 0x7f);
    items.propertiesOf.set(id, indices);
  }
}

/** Reads where the last extent of each item ends, for items whose data lie in this file. */
function readPlaces(bytes: Buffer, { start, end }: Box, items: Items): void {
  const version = bytes[start] as number;
  const [sizes, more] = [bytes[start + 4] as number, bytes[start + 5] as number];
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 4, sizes & 15, more >> 4];
  const extentBytes = (version > 0 ? more & 15 : 0) + offsetBytes + lengthBytes;
  const idBytes = version < 2 ? 2 : 4;
  // A number of up to eight bytes; a size of 0 stands for the number 0.
  const number = (at: number, size: number) =>
    size > 6 ? Number(bytes.readBigUInt64BE(at)) : size ? bytes.readUIntBE(at, size) : 0;
  let at = start + 6 + idBytes;
  while (at + idBytes + 4 <= end && items.ends.size < MAX_CHILDREN) {
    const id = number(at, idBytes);
    at += idBytes;
    const inFile = version === 0 || (number(at, 2) & 15) === 0;
    at += version === 0 ? 2 : 4;
    const base = number(at, baseBytes);
    const count = number(at + baseBytes, 2);
    at += baseBytes + 2;
    const last = at + (count - 1) * extentBytes + extentBytes - offsetBytes - lengthBytes;
    if (inFile && count > 0 && last + offsetBytes + lengthBytes <= end)
      items.ends.set(id, base + number(last, offsetBytes) + number(last + offsetBytes, lengthBytes));
    at += count * extentBytes;
  }
}
