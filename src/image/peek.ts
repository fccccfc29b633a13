/**
 * What a picture's first bytes say of its kind and size, before anything looks at it closely: for an estimate of its
 * decode and for nothing else. Pure, total, and quick whatever the bytes are. Input is hostile.
 */

export interface Peek {
  readonly kind: 'JPEG' | 'PNG' | 'WebP' | 'AVIF' | 'GIF' | 'TIFF';
  readonly megapixels: number;
}

/** Segments of a JPEG that are passed before its size: a photograph has about ten, a large colour profile some dozens. */
const MOST_SEGMENTS = 64;
/** Bytes of file for each pixel, where a header does not say how many pixels there are: common of photographs. */
const BYTES_PER_PIXEL = { JPEG: 0.25, PNG: 1.5, WebP: 0.15, AVIF: 0.1, GIF: 0.6, TIFF: 3 } as const;

/** Of a file of no known kind the one that is sent most: it will be refused anyway. */
export function peek(bytes: Uint8Array): Peek {
  const view = new Bytes(bytes);
  const kind = kindOf(view);
  const pixels = PIXELS[kind]?.(view);
  return { kind, megapixels: (pixels ?? bytes.length / BYTES_PER_PIXEL[kind]) / 1e6 };
}

/** Reads beyond the end are 0. */
class Bytes {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  at(place: number): number {
    return this.#bytes[place] ?? 0;
  }

  /** Most significant byte first. */
  big(place: number, count: number): number {
    let value = 0;
    for (let n = 0; n < count; n++) value = value * 256 + this.at(place + n);
    return value;
  }

  /** Least significant byte first. */
  little(place: number, count: number): number {
    let value = 0;
    for (let n = count - 1; n >= 0; n--) value = value * 256 + this.at(place + n);
    return value;
  }

  is(place: number, text: string): boolean {
    for (let n = 0; n < text.length; n++) if (this.at(place + n) !== text.charCodeAt(n)) return false;
    return true;
  }
}

function kindOf(bytes: Bytes): Peek['kind'] {
  if (bytes.is(0, '\x89PNG')) return 'PNG';
  if (bytes.is(0, 'GIF8')) return 'GIF';
  if (bytes.is(0, 'RIFF') && bytes.is(8, 'WEBP')) return 'WebP';
  if (bytes.is(0, 'II*\0') || bytes.is(0, 'MM\0*')) return 'TIFF';
  return bytes.is(4, 'ftyp') ? 'AVIF' : 'JPEG';
}

/** Pixels that a header says there are; undefined if it is not where it should be. */
const PIXELS: Partial<Record<Peek['kind'], (bytes: Bytes) => number | undefined>> = {
  PNG: (bytes) => (bytes.is(12, 'IHDR') ? areaOf(bytes.big(16, 4), bytes.big(20, 4)) : undefined),
  GIF: (bytes) => areaOf(bytes.little(6, 2), bytes.little(8, 2)),
  WebP: webpPixels,
  JPEG: jpegPixels,
};

const areaOf = (width: number, height: number): number | undefined => (width * height > 0 ? width * height : undefined);

/** Sizes of 14 bits in lossy and lossless files; of 24 bits in extended ones. */
function webpPixels(bytes: Bytes): number | undefined {
  if (bytes.is(12, 'VP8 ')) return areaOf(bytes.little(26, 2) & 0x3fff, bytes.little(28, 2) & 0x3fff);
  if (bytes.is(12, 'VP8X')) return areaOf(bytes.little(24, 3) + 1, bytes.little(27, 3) + 1);
  if (!bytes.is(12, 'VP8L')) return undefined;
  const bits = bytes.little(21, 4);
  return areaOf((bits & 0x3fff) + 1, (Math.floor(bits / 0x4000) & 0x3fff) + 1);
}

/** The frame header (SOF) is where segments lead that say how long they are. */
function jpegPixels(bytes: Bytes): number | undefined {
  if (bytes.big(0, 2) !== 0xffd8) return undefined;
  let place = 2;
  for (let n = 0; n < MOST_SEGMENTS && place < bytes.length; n++) {
    if (bytes.at(place) !== 0xff) return undefined;
    const marker = bytes.at(place + 1);
    if (isFrame(marker)) return areaOf(bytes.big(place + 7, 2), bytes.big(place + 5, 2));
    const length = bytes.big(place + 2, 2);
    if (marker === 0xff)
      place += 1; // a filling byte
    else if (length < 2) return undefined;
    else place += 2 + length;
  }
  return undefined;
}

/** SOF0 to SOF15, but for the three that are tables. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
