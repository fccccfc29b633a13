/** Decodes a picture to RGB at the input size of a family. Input is hostile. */
import type { ResizeRule } from '../family/instance.js';
import { cut, type Raw } from './cut.js';
import { axis } from './enlarge.js';
import type { Kind } from './files/first-picture.js';
import { readFirstPicture } from './files/read.js';
import { type DecodeLimits, damaged, type Header, inspect } from './inspect.js';
import { sharp } from './sharp.js';

export { type DecodeLimits, type Header, inspect } from './inspect.js';

/**
 * Decodes to RGB uint8 [crop, crop, 3]: rotates as EXIF says, resizes the shorter side to `rule.size` and cuts out the
 * centre square. Of an animation, the first frame counts.
 *
 * header: result of `inspect` for the same bytes and limits. Raises DimmerError invalid-image.
 */
export async function decode(
  bytes: Uint8Array,
  header: Header,
  rule: ResizeRule,
  limits: DecodeLimits,
): Promise<Uint8Array> {
  const { size, crop, kernel, alpha } = rule;
  const first = readFirstPicture(bytes)?.bytes ?? bytes;
  try {
    // 'error' and not sharp's default 'warning', which refuses common phone pictures (sharp#1578, #3488).
    const image = sharp(first, { limitInputPixels: limits.maxPixels, failOn: 'error', autoOrient: true })
      .toColourspace('srgb')
      .resize(size, size, { fit: 'cover', kernel, withoutEnlargement: true });
    // By default sharp converts 16-bit pictures via Display-P3 (grey ones without their profile), but 8-bit ones to
    // sRGB.
    if (header.space === 'rgb16') image.pipelineColourspace('srgb');
    if (header.space === 'grey16') image.pipelineColourspace('b-w');
    if (alpha === 'white') image.flatten({ background: '#fff' });
    const raw = await image.removeAlpha().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const { channels, width, height } = raw.info;
    if (channels !== 3) throw new Error(`decoded to ${channels} channels`);
    if (width < size || height < size) return await enlarge(raw, header.oriented, rule);
    const offset = Math.floor((size - crop) / 2);
    return crop === size ? raw.data : cut(raw, { left: offset, top: offset, width: crop, height: crop });
  } catch (error) {
    throw damaged(header.kind, error);
  }
}

/** Resize kernel -> interpolator of libvips for enlarging, which has no wider one than bicubic. */
const INTERPOLATORS = {
  nearest: sharp.interpolators.nearest,
  linear: sharp.interpolators.bilinear,
  cubic: sharp.interpolators.bicubic,
  mitchell: sharp.interpolators.bicubic,
  lanczos2: sharp.interpolators.bicubic,
  lanczos3: sharp.interpolators.bicubic,
} as const satisfies Record<ResizeRule['kernel'], string>;

/**
 * Enlarges a picture whose shorter side has fewer than `size` pixels, to RGB uint8 [crop, crop, 3]. middle: the decoded
 * pixels; sides longer than `size` are already cut to their middle `size` pixels. width, height: of the whole picture
 * before that cut.
 */
async function enlarge(
  middle: Raw,
  { width, height }: { readonly width: number; readonly height: number },
  rule: ResizeRule,
): Promise<Buffer> {
  const { crop, kernel } = rule;
  const shorter = Math.min(width, height);
  const [x, y] = [axis(width, shorter, rule), axis(height, shorter, rule)];
  // How many pixels sharp cuts off before the middle.
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
  // A pixel's centre is at its middle, hence the halves. `nearest` takes the pixel that a position falls into.
  const half = kernel === 'nearest' ? 0 : 0.5;
  const offsets = { idx: half, idy: half, odx: -0.5 - x.rest, ody: -0.5 - y.rest };
  const large = await sharp(cut(middle, area), { raw: { width: x.count, height: y.count, channels: 3 } })
    .affine(matrix, { interpolator: INTERPOLATORS[kernel], ...offsets })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return cut(large, { left: x.first, top: y.first, width: crop, height: crop });
}

/** Decodes a generated picture at start, because the first decode loads libvips and is far slower than later ones. */
export async function warmDecoder(rule: ResizeRule): Promise<Uint8Array> {
  const white = { create: { width: 8, height: 8, channels: 3, background: '#fff' } } as const;
  const bytes = await sharp(white).jpeg().toBuffer();
  const limits = { maxPixels: 64 };
  return decode(bytes, await inspect(bytes, rule, limits), rule, limits);
}

type Image = ReturnType<typeof sharp>;
/** Format -> encoder for generated pictures, set to be fast rather than small: only their decode is measured. */
const ENCODE: Record<Kind, (image: Image) => Image> = {
  JPEG: (image) => image.jpeg(),
  PNG: (image) => image.png({ compressionLevel: 3 }),
  WebP: (image) => image.webp({ effort: 0 }),
  AVIF: (image) => image.avif({ effort: 0 }),
  GIF: (image) => image.gif({ effort: 1 }),
  TIFF: (image) => image.tiff({ compression: 'lzw' }),
};

/** Encodes a generated picture of this size in pixels: noise with about as much detail as a photograph. */
export function samplePicture(width: number, height: number, kind: Kind): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return ENCODE[kind](sharp({ create: { width, height, channels: 3, background: '#888', noise } }).blur(1)).toBuffer();
}
