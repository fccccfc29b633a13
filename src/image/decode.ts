/** Encoded picture -> RGB at the input size of a family. The only file importing sharp. Input is hostile. */
import { fileTypeFromBuffer } from 'file-type';
import sharp from 'sharp';
import { DimmerError, messageOf } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import { cut, type Raw } from './cut.js';
import { axis } from './enlarge.js';

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

/** What libvips takes for each kernel when it enlarges: it knows no wider one for that. */
const INTERPOLATORS = {
  nearest: sharp.interpolators.nearest,
  linear: sharp.interpolators.bilinear,
  cubic: sharp.interpolators.bicubic,
  mitchell: sharp.interpolators.bicubic,
  lanczos2: sharp.interpolators.bicubic,
  lanczos3: sharp.interpolators.bicubic,
} as const satisfies Record<ResizeRule['kernel'], string>;

/**
 * RGB [crop, crop, 3] uint8 of a picture whose shorter side has fewer than `size` pixels.
 * middle: its pixels, of a side with more than `size` those in the middle; width, height: of all of it.
 */
async function enlarge(
  middle: Raw,
  { width, height }: { readonly width: number; readonly height: number },
  rule: ResizeRule,
): Promise<Buffer> {
  const { crop, kernel } = rule;
  const shorter = Math.min(width, height);
  const [x, y] = [axis(width, shorter, rule), axis(height, shorter, rule)];
  // As sharp cuts out a centre.
  const before = (whole: number, kept: number) => Math.floor((whole - kept + 1) / 2);
  const area = {
    left: x.from - before(width, middle.info.width),
    top: y.from - before(height, middle.info.height),
    width: x.count,
    height: y.count,
  };
  const matrix: [[number, number], [number, number]] = [
    [x.scale, 0],
    [0, y.scale],
  ];
  // Pixels have their centres in the middle: half one before, half one after. `nearest` takes the one it falls into.
  const half = kernel === 'nearest' ? 0 : 0.5;
  const offsets = { idx: half, idy: half, odx: -0.5 - x.rest, ody: -0.5 - y.rest };
  const large = await sharp(cut(middle, area), { raw: { width: x.count, height: y.count, channels: 3 } })
    .affine(matrix, { interpolator: INTERPOLATORS[kernel], ...offsets })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return cut(large, { left: x.first, top: y.first, width: crop, height: crop });
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
