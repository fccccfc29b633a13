/** Encoded picture -> RGB at the input size of a family. Input is hostile. */
import type { ResizeRule } from '../family/instance.js';
import { cut, type Raw } from './cut.js';
import { axis } from './enlarge.js';
import type { Kind } from './files/first-picture.js';
import { readFirstPicture } from './files/read.js';
import { type DecodeLimits, damaged, type Header, inspect } from './inspect.js';
import { sharp } from './sharp.js';

export { type DecodeLimits, type Header, inspect } from './inspect.js';

/**
 * RGB pixels [crop, crop, 3] uint8, row by row: turned as EXIF says, the shorter side resized to `size`, then a centred
 * square cut out. Of an animation the first frame.
 *
 * header: what `inspect` says of the same bytes, for the same limits. Raises DimmerError invalid-image.
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
    // sharp takes 16 bits to its Display-P3 profile first, and grey of 16 bits past its profile; 8 bits go to sRGB.
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
  const bytes = await sharp(white).jpeg().toBuffer();
  const limits = { maxPixels: 64 };
  return decode(bytes, await inspect(bytes, rule, limits), rule, limits);
}

type Image = ReturnType<typeof sharp>;
/** Encodes a generated picture, not as small as it could be but soon: it is measured how it is decoded. */
const ENCODE: Record<Kind, (image: Image) => Image> = {
  JPEG: (image) => image.jpeg(),
  PNG: (image) => image.png({ compressionLevel: 3 }),
  WebP: (image) => image.webp({ effort: 0 }),
  AVIF: (image) => image.avif({ effort: 0 }),
  GIF: (image) => image.gif({ effort: 1 }),
  TIFF: (image) => image.tiff({ compression: 'lzw' }),
};

/** Grey noise, smoothed as far as the detail of a photograph is. */
export function samplePicture(width: number, height: number, kind: Kind): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return ENCODE[kind](sharp({ create: { width, height, channels: 3, background: '#888', noise } }).blur(1)).toBuffer();
}
