/** HEIF: the boxes that say what items there are and what they are made of (ISO/IEC 23008-12, 14496-12). */

/** Of one box; libheif refuses files with more (max_children_per_box), and each takes memory here. */
const MAX_CHILDREN = 20_000;

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

export interface Items {
  readonly fileBytes: number;
  primary: number | undefined;
  readonly types: Map<number, string>;
  /** Where each type is written. */
  readonly typeAt: Map<number, number>;
  /** From derived picture to what it is made of. */
  readonly parts: Map<number, number[]>;
  /** From picture to its alpha or depth. */
  readonly auxiliary: Map<number, number[]>;
  /** Where the data of each end, in the file. */
  readonly ends: Map<number, number>;
  readonly properties: (Size | { readonly bits: number; readonly samples: number } | undefined)[];
  readonly propertiesOf: Map<number, number[]>;
}

type Property = Exclude<Items['properties'][number], undefined>;
export function propertyOf<K extends 'bits' | 'width'>(items: Items, item: number, member: K) {
  for (const index of items.propertiesOf.get(item) ?? []) {
    const property = items.properties[index - 1];
    if (property && member in property) return property as Extract<Property, Record<K, number>>;
  }
  return undefined;
}

/** Of a file that begins with `ftyp`, whole or not. */
export function readBrands(bytes: Buffer): string[] {
  const ftyp = boxAt(bytes, 0, bytes.length);
  const brands: string[] = [];
  // The first, its version, and those it is compatible with.
  for (let at = ftyp.start; at + 4 <= Math.min(ftyp.end, bytes.length) && brands.length < 64; at += 4)
    brands.push(bytes.toString('latin1', at, at + 4));
  return brands.filter((_, n) => n !== 1);
}

/** Boxes that lie whole within [start, end). */
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

/** A length of 1 says that it follows the type, in 64 bits; 0 that the box reaches to the end. */
function boxAt(bytes: Buffer, at: number, end: number): Box {
  const length = bytes.readUInt32BE(at);
  const type = bytes.toString('latin1', at + 4, at + 8);
  if (length === 1) return { type, start: at + 16, end: at + Number(bytes.readBigUInt64BE(at + 8)) };
  return { type, start: at + 8, end: length === 0 ? end : at + length };
}

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
  // What a box says beyond its end is not there: RangeError, and the loader says what is wrong with the file.
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

/** Of items whose data lie in the file itself: where their last extent ends. */
function readPlaces(bytes: Buffer, { start, end }: Box, items: Items): void {
  const version = bytes[start] as number;
  const [sizes, more] = [bytes[start + 4] as number, bytes[start + 5] as number];
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 4, sizes & 15, more >> 4];
  const extentBytes = (version > 0 ? more & 15 : 0) + offsetBytes + lengthBytes;
  const idBytes = version < 2 ? 2 : 4;
  // Numbers of up to eight bytes; none stands for 0.
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
