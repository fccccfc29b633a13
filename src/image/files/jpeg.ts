/** JPEG: reads the frame header and counts scans, by walking over all segments (ISO/IEC 10918-1, annex B). */
import { type FirstPicture, invalid, rowsBytes, unsupported } from './first-picture.js';

/**
 * Upper bound of scans. A scan of a few bytes makes the decoder go over the whole picture, so that 533 KB can take 27
 * s. libjpeg writes 10 scans in a progressive file. libtiff refuses more than 100 by default
 * (LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER), libjpeg-turbo's fuzzers more than 500 at 1 megapixel.
 */
export const MAX_SCANS = 100;
/** Upper bound of scans x pixels: 20 scans of 50 megapixels, twice what libjpeg writes. Measured: docs/pictures.md. */
export const MAX_SCANNED_PIXELS = 1e9;

const [RST0, EOI, SOS] = [0xd0, 0xd9, 0xda];

/** The frame header. */
interface Frame {
  /** Number of the SOF marker: 0 baseline, 2 progressive and so on. */
  readonly process: number;
  readonly bits: number;
  readonly pixels: number;
  readonly components: number;
  /** Samples per pixel, over all components: 3 without subsampling, 1.5 for 4:2:0. */
  readonly samples: number;
}

/** Checks a JPEG file. Raises DimmerError unsupported-media or invalid-image. */
export function readJpeg(bytes: Buffer): FirstPicture {
  const { frame, scans } = walk(bytes);
  if (frame) {
    // 0, 1 and 2 are baseline, extended and progressive with Huffman coding, 9 and 10 the latter two with arithmetic
    // coding.
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
      // libjpeg scales down by 2, 4 or 8 while it decodes, but not below the needed size.
      const scale = shrink >= 9 ? 8 : shrink >= 5 ? 4 : shrink >= 3 ? 2 : 1;
      // With several scans, all coefficients (16 bits each) are in memory until the last scan.
      const coefficients = progressive || scans > 1 ? 2.1 * (frame?.samples ?? 4) * (width + 32) * (height + 32) : 0;
      return coefficients + rowsBytes({ ...pixels, width: width / scale, height: height / scale });
    },
  };
}

/** The first frame header and the number of scans. */
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

/** Offset of the next marker that has a length, or of the end. Skips the data of a scan. */
function nextSegment(bytes: Buffer, start: number): number {
  // Byte by byte, because indexOf is slower where 0xff is frequent, as it may be in a hostile file.
  for (let at = start; at + 1 < bytes.length; at++) {
    if (bytes[at] !== 0xff) continue;
    const marker = bytes[at + 1] as number;
    if (marker === EOI) return bytes.length;
    // 0xff may be repeated; 0xff 0x00 is data of a scan; restart markers and SOI have no length.
    if ((marker > EOI && marker !== 0xff) || (marker >= 0xc0 && marker < RST0)) return at;
  }
  return bytes.length;
}

/** Markers SOF0 to SOF15, without DHT, JPG and DAC, which lie between them and are no frame headers. */
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
