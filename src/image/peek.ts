/**
 * Guesses format and size of a picture from its first bytes, to predict how long its decode will take. The guess is
 * used for nothing else. Pure; never throws; fast for any input. Input is hostile.
 */

export interface Peek {
  readonly kind: 'JPEG' | 'PNG' | 'WebP' | 'AVIF' | 'GIF' | 'TIFF';
  readonly megapixels: number;
}

/** Segments of a JPEG to skip before its size: a photograph has about ten, a large colour profile some dozens. */
const MOST_SEGMENTS = 64;
/** Typical file bytes per pixel of photographs, to estimate the pixels where no header gives them. */
const BYTES_PER_PIXEL = { JPEG: 0.25, PNG: 1.5, WebP: 0.15, AVIF: 0.1, GIF: 0.6, TIFF: 3 } as const;

/** The guess for a file. An unknown format counts as JPEG, the most common one: the file is refused later anyway. */
export function peek(bytes: Uint8Array): Peek {
  const view = new Bytes(bytes);
  const kind = kindOf(view);
  const pixels = PIXELS[kind]?.(view);
  return { kind, megapixels: (pixels ?? bytes.length / BYTES_PER_PIXEL[kind]) / 1e6 };
}

/** Reads numbers from bytes; beyond the end it reads 0. */
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

  /** Unsigned big-endian number of `count` bytes. */
  big(place: number, count: number): number {
    let value = 0;
    for (let n = 0; n < count; n++) value = value * 256 + this.at(place + n);
    return value;
  }

  /** Unsigned little-endian number of `count` bytes. */
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

/** Pixels (width x height) by the header; undefined if there is no header at the usual place. */
const PIXELS: Partial<Record<Peek['kind'], (bytes: Bytes) => number | undefined>> = {
  PNG: (bytes) => (bytes.is(12, 'IHDR') ? areaOf(bytes.big(16, 4), bytes.big(20, 4)) : undefined),
  GIF: (bytes) => areaOf(bytes.little(6, 2), bytes.little(8, 2)),
  WebP: webpPixels,
  JPEG: jpegPixels,
};

const areaOf = (width: number, height: number): number | undefined => (width * height > 0 ? width * height : undefined);

/** Width and height have 14 bits in lossy (VP8) and lossless (VP8L) files, 24 bits in extended ones (VP8X). */
function webpPixels(bytes: Bytes): number | undefined {
  if (bytes.is(12, 'VP8 ')) return areaOf(bytes.little(26, 2) & 0x3fff, bytes.little(28, 2) & 0x3fff);
  if (bytes.is(12, 'VP8X')) return areaOf(bytes.little(24, 3) + 1, bytes.little(27, 3) + 1);
  if (!bytes.is(12, 'VP8L')) return undefined;
  const bits = bytes.little(21, 4);
  return areaOf((bits & 0x3fff) + 1, (Math.floor(bits / 0x4000) & 0x3fff) + 1);
}

/** Skips segments by their lengths up to the frame header (SOF), which has width and height. */
function jpegPixels(bytes: Bytes): number | undefined {
  if (bytes.big(0, 2) !== 0xffd8) return undefined;
  let place = 2;
  for (let n = 0; n < MOST_SEGMENTS && place < bytes.length; n++) {
    if (bytes.at(place) !== 0xff) return undefined;
    const marker = bytes.at(place + 1);
    if (isFrame(marker)) return areaOf(bytes.big(place + 7, 2), bytes.big(place + 5, 2));
    const length = bytes.big(place + 2, 2);
    if (marker === 0xff)
      place += 1; // a fill byte
    else if (length < 2) return undefined;
    else place += 2 + length;
  }
  return undefined;
}

/** Markers SOF0 to SOF15, without DHT, JPG and DAC, which lie between them and are no frame headers. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
