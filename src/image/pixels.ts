/** Writes pixels as a file, so that they pass the same checks and the same resizing as every picture. Pure. */

/** Types of the fields (TIFF 6.0, section 2). A value, or where it lies, takes 32 bits of the entry. */
const [SHORT, LONG] = [3, 4];
const HEADER_BYTES = 8;
const ENTRIES = 9;
/** Behind the header and the directory: its count, its entries, and the place of the next directory (none: 0). */
const BITS_AT = HEADER_BYTES + 2 + 12 * ENTRIES + 4;
const PIXELS_AT = BITS_AT + 3 * 2;

/** uint8 RGB [height, width, 3] -> a baseline TIFF that holds them as they are (TIFF 6.0, section 6). */
export function fileOfPixels(pixels: Uint8Array, width: number, height: number): Buffer {
  // Not from Node's pool of small buffers: the file lives until it is decoded, and would keep the whole pool in memory.
  const file = Buffer.allocUnsafeSlow(PIXELS_AT + pixels.length).fill(0, 0, PIXELS_AT);
  file.write('II*\0', 'latin1');
  file.writeUInt32LE(HEADER_BYTES, 4);
  file.writeUInt16LE(ENTRIES, HEADER_BYTES);
  const entries: [tag: number, type: number, count: number, value: number][] = [
    [256, LONG, 1, width],
    [257, LONG, 1, height],
    [258, SHORT, 3, BITS_AT], // bits of each sample: they do not fit into the entry
    [259, SHORT, 1, 1], // not compressed
    [262, SHORT, 1, 2], // RGB
    [273, LONG, 1, PIXELS_AT],
    [277, SHORT, 1, 3], // samples of a pixel
    [278, LONG, 1, height], // rows of the only strip
    [279, LONG, 1, pixels.length],
  ];
  entries.forEach(([tag, type, count, value], n) => {
    const at = HEADER_BYTES + 2 + 12 * n;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(count, at + 4);
    file.writeUInt32LE(value, at + 8); // a SHORT lies in its first two bytes
  });
  for (let sample = 0; sample < 3; sample++) file.writeUInt16LE(8, BITS_AT + 2 * sample);
  file.set(pixels, PIXELS_AT);
  return file;
}
