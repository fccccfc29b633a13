/** PNG: removes optional chunks that do not change pixels, such as text (ISO/IEC 15948, 5.3). */
import { crc32 } from 'node:zlib';
import { type FirstPicture, MAX_EXIF_BYTES, rowsBytes } from './first-picture.js';

const SIGNATURE_BYTES = 8;
/** Bytes of a chunk besides its data: length, type and checksum. */
const CHUNK_BYTES = 12;
/** Offset of the interlace method in the file. */
const INTERLACE_AT = 28;
const code = (type: string) => Buffer.from(type, 'latin1').readUInt32BE();
const [IEND, EXIF] = [code('IEND'), code('eXIf')];
/** Optional chunks that change pixels, colour or orientation, and are kept. */
const KEPT = new Set(['tRNS', 'iCCP', 'sRGB', 'gAMA', 'cHRM', 'cICP', 'sBIT', 'eXIf'].map(code));
/** This bit of the first letter of a chunk's type marks an optional (ancillary) chunk. */
const OPTIONAL = 0x20;

/** A PNG file without its text and other chunks that the picture does not need. */
export function readPng(bytes: Buffer): FirstPicture {
  const interlaced = (bytes[INTERLACE_AT] ?? 0) !== 0;
  return {
    kind: 'PNG',
    bytes: withoutText(bytes),
    // An interlaced picture is in memory as a whole, because no row is complete before the last pass.
    memoryBytes: (pixels) => rowsBytes(pixels) + (interlaced ? pixels.width * pixels.height * pixels.bytesPerPixel : 0),
  };
}

function withoutText(bytes: Buffer): Buffer {
  const kept: Buffer[] = [];
  const seen = new Set<number>();
  let [at, keptFrom, type] = [SIGNATURE_BYTES, 0, 0];
  while (type !== IEND && at + CHUNK_BYTES <= bytes.length) {
    const next = at + CHUNK_BYTES + bytes.readUInt32BE(at);
    if (next > bytes.length) break; // cut off; the loader reports it
    type = bytes.readUInt32BE(at + 4);
    const instead = replacement(type, bytes.subarray(at + 8, next - 4), seen);
    if (instead) {
      if (keptFrom < at) kept.push(bytes.subarray(keptFrom, at));
      if (instead.length) kept.push(instead);
      keptFrom = next;
    }
    at = next;
  }
  if (keptFrom === 0) return bytes;
  return Buffer.concat([...kept, bytes.subarray(keptFrom, type === IEND ? at : bytes.length)]);
}

const NOTHING = Buffer.alloc(0);

/**
 * What replaces a chunk: NOTHING, or a shorter one; undefined if it stays. Of each optional type the first chunk stays.
 */
function replacement(type: number, data: Buffer, seen: Set<number>): Buffer | undefined {
  if (((type >>> 24) & OPTIONAL) === 0) return undefined;
  if (!KEPT.has(type) || seen.has(type)) return NOTHING;
  seen.add(type);
  return type === EXIF && data.length > MAX_EXIF_BYTES ? chunk(type, data.subarray(0, MAX_EXIF_BYTES)) : undefined;
}

function chunk(type: number, data: Buffer): Buffer {
  const whole = Buffer.alloc(CHUNK_BYTES + data.length);
  whole.writeUInt32BE(data.length);
  whole.writeUInt32BE(type, 4);
  data.copy(whole, 8);
  whole.writeUInt32BE(crc32(whole.subarray(4, 8 + data.length)), 8 + data.length);
  return whole;
}
