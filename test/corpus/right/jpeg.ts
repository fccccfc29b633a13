import { grey, type Raster, ramps, turned } from '../raster.js';
import { exif, LARGE, LOSSY, RAMPS, type Right, raw } from './common.js';

const segment = (marker: number, data: Buffer) => {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(data.length + 2, 2);
  return Buffer.concat([head, data]);
};
/** The JPEG with further segments after its start marker. */
export const withSegments = (jpeg: Buffer, ...segments: Buffer[]) =>
  Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)]);
const exifSegment = (orientation: number, bigEndian = false) =>
  segment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), exif(orientation, bigEndian)]));

export async function jpegs(): Promise<Right[]> {
  const all: Right[] = [];
  const add = (name: string, bytes: Buffer, raster: Raster = RAMPS, tolerance = LOSSY) =>
    all.push({ name: `JPEG ${name}`, bytes, kind: 'JPEG', raster, tolerance });
  const options = { quality: 98, chromaSubsampling: '4:4:4' };
  const plain = await raw(RAMPS).jpeg(options).toBuffer();
  add('4:4:4', plain);
  add('4:2:0', await raw(LARGE).jpeg({ quality: 98 }).toBuffer(), LARGE);
  add(
    'progressive',
    await raw(RAMPS)
      .jpeg({ ...options, progressive: true })
      .toBuffer(),
  );
  add('progressive 4:2:0', await raw(LARGE).jpeg({ quality: 98, progressive: true }).toBuffer(), LARGE);
  add(
    'with many optimised scans',
    await raw(RAMPS)
      .jpeg({ ...options, mozjpeg: true })
      .toBuffer(),
  );
  add('grey', await raw(grey(RAMPS)).toColourspace('b-w').jpeg(options).toBuffer(), grey(RAMPS));
  const huge = ramps(1600, 1100);
  add('that is scaled by 8 while it is decoded', await raw(huge).jpeg({ quality: 98 }).toBuffer(), huge);
  for (let orientation = 1; orientation <= 8; orientation++)
    for (const bigEndian of [false, true])
      add(
        `orientation ${orientation}${bigEndian ? ', big-endian' : ''}`,
        withSegments(plain, exifSegment(orientation, bigEndian)),
        turned(RAMPS, orientation),
      );
  for (let orientation = 1; orientation <= 8; orientation++)
    add(
      `orientation ${orientation}, resized`,
      withSegments(await raw(LARGE).jpeg(options).toBuffer(), exifSegment(orientation)),
      turned(LARGE, orientation),
    );
  for (const orientation of [0, 9, 255])
    add(`orientation ${orientation}, which is none`, withSegments(plain, exifSegment(orientation)));
  add('garbage at its end', Buffer.concat([plain, Buffer.alloc(10_000, 0x55)]));
  add('a ZIP at its end', Buffer.concat([plain, Buffer.from('PK\x03\x04'), Buffer.alloc(100)]));
  add('HTML in a comment', withSegments(plain, segment(0xfe, Buffer.from('<html><script>alert(1)</script></html>'))));
  add('SVG in a comment', withSegments(plain, segment(0xfe, Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))));
  add('a PDF in a comment', withSegments(plain, segment(0xfe, Buffer.from('%PDF-1.7'))));
  add('200 comments', withSegments(plain, ...Array.from({ length: 200 }, () => segment(0xfe, Buffer.alloc(1000)))));
  add('fill bytes before markers', withSegments(plain, Buffer.alloc(1000, 0xff)));
  add(
    'a thumbnail in its Exif that has many scans',
    withSegments(
      plain,
      segment(
        0xe1,
        Buffer.concat([Buffer.from('Exif\0\0'), exif(1), Buffer.from(`ffd8${'ffda0003'.repeat(500)}`, 'hex')]),
      ),
    ),
  );
  add('the name of another kind in it', withSegments(plain, segment(0xfe, Buffer.from('ftypheic GIF89a RIFF WEBP'))));
  return all;
}
