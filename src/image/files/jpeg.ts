/** JPEG: segments up to the end (ISO/IEC 10918-1, annex B). */
import { type FirstPicture, invalid, rowsBytes, unsupported } from './first-picture.js';

/**
 * Each scan goes over the whole picture, and needs but a few bytes to do so: 533 KB can take 27 s. libjpeg's own
 * progressive files have 10 scans; libtiff refuses more than 100 by default (LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER),
 * libjpeg-turbo's fuzzers, of 1 megapixel, more than 500.
 */
export const MAX_SCANS = 100;
/** Of the scans together: 20 of 50 megapixels, twice what libjpeg writes. Measured: docs/pictures.md. */
export const MAX_SCANNED_PIXELS = 1e9;

const [RST0, EOI, SOS] = [0xd0, 0xd9, 0xda];

interface Frame {
  readonly process: number;
  readonly bits: number;
  readonly pixels: number;
  readonly components: number;
  /** Samples for a pixel: 3 without subsampling, 1.5 in 4:2:0. */
  readonly samples: number;
}

export function readJpeg(bytes: Buffer): FirstPicture {
  const { frame, scans } = walk(bytes);
  if (frame) {
    // 0, 1 and 2 are baseline, extended and progressive Huffman; the others are lossless, hierarchical or arithmetic.
    if (frame.process > 2 && frame.process !== 9 && frame.process !== 10)
      throw unsupported(`a lossless or hierarchical JPEG (SOF${frame.process})`, 'a baseline or progressive JPEG');
    if (frame.bits !== 8) throw unsupported(`a JPEG of ${frame.bits} bits for a sample`, 'a JPEG of 8 bits');
    if (scans > MAX_SCANS || scans * frame.pixels > MAX_SCANNED_PIXELS)
      throw invalid(
        `the JPEG has ${scans} scans`,
        `at most ${MAX_SCANS} scans, and ${MAX_SCANNED_PIXELS} pixels in them together`,
      );
  }
  const progressive = frame?.process === 2 || frame?.process === 10;
  return {
    kind: 'JPEG',
    bytes,
    memoryBytes: (pixels) => {
      const { width, height, shrink } = pixels;
      // libjpeg scales by 2, 4 or 8 while it decodes, but not to less than what is needed.
      const scale = shrink >= 9 ? 8 : shrink >= 5 ? 4 : shrink >= 3 ? 2 : 1;
      // Progressive files and those of several scans are kept as coefficients of 16 bits until the last scan.
      const coefficients = progressive || scans > 1 ? 2.1 * (frame?.samples ?? 4) * (width + 32) * (height + 32) : 0;
      return coefficients + rowsBytes({ ...pixels, width: width / scale, height: height / scale });
    },
  };
}

function walk(bytes: Buffer): { frame: Frame | undefined; scans: number } {
  let scans = 0;
  let frame: Frame | undefined;
  for (let at = nextSegment(bytes, 2); at + 4 <= bytes.length; at = nextSegment(bytes, at)) {
    const marker = bytes[at + 1] as number;
    if (marker === SOS) scans++;
    if (isFrame(marker)) frame ??= readFrame(bytes, at, marker & 15);
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return { frame, scans };
}

/** Where the next marker with a length lies, or the end. After a scan's header its data come first. */
function nextSegment(bytes: Buffer, start: number): number {
  // Byte by byte: indexOf takes longer where 0xff comes often, as it may in a hostile file.
  for (let at = start; at + 1 < bytes.length; at++) {
    if (bytes[at] !== 0xff) continue;
    const marker = bytes[at + 1] as number;
    if (marker === EOI) return bytes.length;
    // 0xff may be repeated; 0 after it is data of a scan; restarts and the start have no length.
    if ((marker > EOI && marker !== 0xff) || (marker >= 0xc0 && marker < RST0)) return at;
  }
  return bytes.length;
}

/** SOF0 to SOF15, but for DHT, JPG and DAC, which lie between them. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

function readFrame(bytes: Buffer, at: number, process: number): Frame | undefined {
  if (at + 10 > bytes.length) return undefined;
  const components = bytes[at + 9] as number;
  const factors = Array.from({ length: components }, (_, n) => bytes[at + 11 + 3 * n] ?? 0x11);
  const [across, down] = [Math.max(...factors.map((f) => f >> 4), 1), Math.max(...factors.map((f) => f & 15), 1)];
  return {
    process,
    bits: bytes[at + 4] as number,
    pixels: bytes.readUInt16BE(at + 5) * bytes.readUInt16BE(at + 7),
    components,
    samples: factors.reduce((sum, f) => sum + ((f >> 4) * (f & 15)) / (across * down), 0),
  };
}
