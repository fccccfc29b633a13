/** WebP: keeps only the chunks of the first picture (RIFF chunks: RFC 9649, 2.7). */
import { type FirstPicture, MAX_EXIF_BYTES } from './first-picture.js';

const RIFF_BYTES = 12;
const CHUNK_BYTES = 8;
const code = (type: string) => Buffer.from(type, 'latin1').readUInt32BE();
const [EXIF, ANMF, VP8L, ALPH] = [code('EXIF'), code('ANMF'), code('VP8L'), code('ALPH')];
/** Offset of the inner chunks in a chunk ANMF (a frame of an animation), after its position and duration. */
const FRAME_AT = CHUNK_BYTES + 16;
/**
 * Chunks that change pixels, colour or orientation. The first of each type is kept; XMP and later frames are removed.
 */
const KEPT = new Set(['VP8 ', 'VP8L', 'VP8X', 'ALPH', 'ICCP', 'ANIM', 'ANMF', 'EXIF'].map(code));

/** The first picture of a WebP file. */
export function readWebp(bytes: Buffer): FirstPicture {
  const kept: Buffer[] = [];
  const seen = new Set<number>();
  let [at, changed] = [RIFF_BYTES, false];
  const riffEnd = Math.min(bytes.length, 8 + bytes.readUInt32LE(4));
  while (at + CHUNK_BYTES <= riffEnd) {
    const type = bytes.readUInt32BE(at);
    const length = bytes.readUInt32LE(at + 4);
    const next = at + CHUNK_BYTES + length + (length & 1);
    if (KEPT.has(type) && !seen.has(type)) {
      const long = type === EXIF && length > MAX_EXIF_BYTES;
      kept.push(
        long
          ? chunk(type, bytes.subarray(at + 8, at + 8 + MAX_EXIF_BYTES))
          : bytes.subarray(at, Math.min(next, riffEnd)),
      );
      changed ||= long;
    } else changed = true;
    seen.add(type);
    if (next > riffEnd) break; // cut off; the loader reports it
    at = next;
  }
  const types = new Set(kept.flatMap((chunk) => codesWithin(chunk)));
  return {
    kind: 'WebP',
    bytes: changed ? riff(kept) : bytes,
    // libwebp scales down while it decodes, but lossless pictures and alpha are in memory as a whole.
    memoryBytes: ({ width, height, shrink }) =>
      width * height * ((types.has(VP8L) ? 4.8 : 0) + (types.has(ALPH) ? 2.5 : 0) + 12 / shrink ** 2),
  };
}

/** Type of a chunk; for a frame of an animation also the type of its first inner chunk (alpha or the picture). */
function codesWithin(chunk: Buffer): number[] {
  const type = chunk.readUInt32BE();
  if (type !== ANMF || chunk.length < FRAME_AT + CHUNK_BYTES) return [type];
  const first = chunk.readUInt32BE(FRAME_AT);
  return [type, first];
}

function riff(chunks: Buffer[]): Buffer {
  const head = Buffer.from('RIFF\0\0\0\0WEBP', 'latin1');
  const body = Buffer.concat([head, ...chunks]);
  body.writeUInt32LE(body.length - 8, 4);
  return body;
}

function chunk(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(CHUNK_BYTES);
  head.writeUInt32BE(type);
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data]);
}
