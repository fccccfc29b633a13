/** Encoded picture -> RGB at the input size of a family. Input is hostile. */
import { fileTypeFromBuffer } from 'file-type';
import sharp from 'sharp';
import { DimmerError, messageOf } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import { cut } from './cut.js';
import { enlarge } from './enlarge.js';

// Loaders that are not named cannot run at all, whatever the bytes pretend to be.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadHeifBuffer',
    'VipsForeignLoadNsgifBuffer',
    'VipsForeignLoadTiffBuffer',
  ],
});
// One thread for each picture: the scheduler decides how many run at once. No cache: no picture comes twice.
sharp.concurrency(1);
sharp.cache(false);

const KINDS: Record<string, string> = {
  'image/jpeg': 'JPEG',
  'image/png': 'PNG',
  'image/apng': 'PNG',
  'image/webp': 'WebP',
  'image/avif': 'AVIF',
  'image/gif': 'GIF',
  'image/tiff': 'TIFF',
};
const EXPECTED = `a picture: ${[...new Set(Object.values(KINDS))].join(', ')} (told by its bytes, not by Content-Type)`;

/**
 * RGB pixels [crop, crop, 3] uint8, row by row: turned as EXIF says, the shorter side resized to `size`, then a centred
 * square cut out. Of an animation the first frame.
 *
 * Raises DimmerError unsupported-media, image-too-large (pixels, before decoding) or invalid-image.
 */
export async function decode(bytes: Uint8Array, rule: ResizeRule, maxPixels: number): Promise<Uint8Array> {
  await refuseOtherKinds(bytes);
  const { size, crop, kernel, alpha } = rule;
  try {
    // 'error' and not sharp's default 'warning', which refuses common phone pictures (sharp#1578, #3488).
    const image = sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', autoOrient: true })
      .toColourspace('srgb')
      .resize(size, size, { fit: 'cover', kernel, withoutEnlargement: true });
    if (alpha === 'white') image.flatten({ background: '#fff' });
    const raw = await image.removeAlpha().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const { channels, width, height } = raw.info;
    if (channels !== 3) throw new Error(`decoded to ${channels} channels`);
    if (width < size || height < size) {
      const { autoOrient } = await sharp(bytes, { limitInputPixels: maxPixels }).metadata();
      return await enlarge(raw, autoOrient, rule);
    }
    const offset = Math.floor((size - crop) / 2);
    return crop === size ? raw.data : cut(raw, { left: offset, top: offset, width: crop, height: crop });
  } catch (error) {
    throw await explain(bytes, maxPixels, error);
  }
}

/** Decodes one generated picture: the first decode loads libvips and is far slower than the next. */
export async function warmDecoder(rule: ResizeRule): Promise<Uint8Array> {
  const white = { create: { width: 8, height: 8, channels: 3, background: '#fff' } } as const;
  return decode(await sharp(white).jpeg().toBuffer(), rule, 64);
}

/** A JPEG of grey noise. */
export function samplePicture(width: number, height: number): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width, height, channels: 3, background: '#888', noise } })
    .jpeg()
    .toBuffer();
}

async function refuseOtherKinds(bytes: Uint8Array): Promise<void> {
  const kind = bytes.length ? await fileTypeFromBuffer(bytes) : undefined;
  if (kind && kind.mime in KINDS) return;
  throw new DimmerError('unsupported-media', {
    detail: `the body is ${describe(bytes, kind?.mime)}`,
    expected: EXPECTED,
    action: 'convert it, for instance to JPEG, and send the bytes of the file itself',
  });
}

function describe(bytes: Uint8Array, mime: string | undefined): string {
  if (bytes.length === 0) return 'empty';
  const start = Buffer.from(bytes.subarray(0, 1024)).toString('latin1');
  if (/<svg[\s>]/i.test(start)) return 'an SVG drawing, which is not read';
  if (mime?.startsWith('image/hei')) return 'a HEIC picture, which is not read';
  if (mime === 'application/pdf') return 'a PDF document, which is not read';
  return mime ? `of kind ${mime}` : 'no picture of a known kind';
}

/** Tells a picture that is too large from one that is broken. */
async function explain(bytes: Uint8Array, maxPixels: number, error: unknown): Promise<DimmerError> {
  const header = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch(() => undefined);
  if (header && header.width * header.height > maxPixels) {
    return new DimmerError('image-too-large', {
      detail: `the picture is ${header.width} x ${header.height}, ${header.width * header.height} pixels`,
      expected: `at most ${maxPixels} pixels (MAX_IMAGE_PIXELS)`,
      action: 'make it smaller before sending; the network sees it far smaller still',
    });
  }
  return new DimmerError('invalid-image', {
    detail: `the picture cannot be decoded: ${messageOf(error).split('\n')[0]}`,
    expected: 'a whole, undamaged picture',
    action: 'check that the upload was complete and that the file opens in a viewer',
  });
}
