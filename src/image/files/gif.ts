/** GIF: reduces a file to its first frame by reading its blocks (GIF89a, appendix B). */
import { type FirstPicture, rowsBytes } from './first-picture.js';

const [EXTENSION, IMAGE, TRAILER] = [0x21, 0x2c, 0x3b];
const HEADER_BYTES = 13;
const DESCRIPTOR_BYTES = 10;

/** Length of a colour table in bytes, by the packed field that announces it. */
const tableBytes = (packed: number) => (packed & 0x80 ? 3 << ((packed & 7) + 1) : 0);

/** The first frame of a GIF file. */
export function readGif(bytes: Buffer): FirstPicture {
  const end = endOfFirstFrame(bytes);
  return {
    kind: 'GIF',
    bytes: end === undefined || end >= bytes.length ? bytes : withTrailer(bytes.subarray(0, end)),
    // The canvas as RGBA, and a second one that is restored after a frame (disposal method).
    memoryBytes: (pixels) => 8.5 * pixels.width * pixels.height + rowsBytes(pixels),
  };
}

function withTrailer(frame: Buffer): Buffer {
  return Buffer.concat([frame, Buffer.from([TRAILER])]);
}

/** Offset of the end of the first frame; undefined if the file ends before, which the loader then reports. */
function endOfFirstFrame(bytes: Buffer): number | undefined {
  let at = HEADER_BYTES + tableBytes(bytes[10] ?? 0);
  while (at < bytes.length) {
    if (bytes[at] === EXTENSION) at = afterSubBlocks(bytes, at + 2);
    else if (bytes[at] !== IMAGE) return undefined;
    else {
      const data = at + DESCRIPTOR_BYTES + tableBytes(bytes[at + DESCRIPTOR_BYTES - 1] ?? 0) + 1; // 1: LZW's code size
      const end = afterSubBlocks(bytes, data);
      return end <= bytes.length ? end : undefined;
    }
  }
  return undefined;
}

/** Offset after a sequence of sub-blocks. Each begins with its length; one of length 0 ends the sequence. */
function afterSubBlocks(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== 0) at += 1 + (bytes[at] as number);
  return at + 1;
}
