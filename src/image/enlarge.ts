/**
 * Enlarging as training does: the middle of the picture stays in the middle. libvips' own resizing moves what it enlarges
 * by half an output pixel (libvips#4841), which costs a network that sees small maps several points of accuracy.
 */
import sharp, { type Sharp } from 'sharp';
import type { ResizeRule } from '../family/instance.js';
import { cut } from './cut.js';

/** Pixels around what is needed, so that no interpolator reaches beyond. */
const MARGIN = 3;

/** What libvips takes for each kernel when it enlarges: it knows no wider one for that. */
const INTERPOLATORS = {
  nearest: sharp.interpolators.nearest,
  linear: sharp.interpolators.bilinear,
  cubic: sharp.interpolators.bicubic,
  mitchell: sharp.interpolators.bicubic,
  lanczos2: sharp.interpolators.bicubic,
  lanczos3: sharp.interpolators.bicubic,
} as const satisfies Record<ResizeRule['kernel'], string>;

/** One axis of a picture: which pixels are needed, and how they come to lie. */
interface Axis {
  /** The first pixel that is needed, and how many are. */
  readonly from: number;
  readonly count: number;
  /** Output pixels for one of the picture. */
  readonly scale: number;
  /** Where the first output pixel of the square lies among those that the pixels and a margin become: whole, and rest. */
  readonly first: number;
  readonly rest: number;
}

/** length: of this side, shorter: of the shorter side, pixels. The square is where `cut` of training/sdpoint/photos.py has it. */
export function axis(length: number, shorter: number, { size, crop }: Pick<ResizeRule, 'size' | 'crop'>): Axis {
  const whole = Math.max(size, Math.round((length * size) / shorter));
  const scale = whole / length;
  const left = Math.floor((whole - size + 1) / 2) + Math.floor((size - crop) / 2);
  const positionOf = (output: number) => (left + output + 0.5) / scale - 0.5;
  const from = Math.max(0, Math.floor(positionOf(0)) - MARGIN);
  const to = Math.min(length, Math.ceil(positionOf(crop - 1)) + MARGIN + 1);
  const first = left - (from - MARGIN) * scale;
  return { from, count: to - from, scale, first: Math.floor(first), rest: first - Math.floor(first) };
}

/**
 * RGB [crop, crop, 3] uint8 of a picture whose shorter side has fewer than `size` pixels. image: upright, without alpha in
 * what it gives. width, height: of the picture, upright.
 */
export async function enlarge(
  image: Sharp,
  { width, height }: { readonly width: number; readonly height: number },
  rule: ResizeRule,
): Promise<Buffer> {
  const { crop, kernel } = rule;
  const shorter = Math.min(width, height);
  const [x, y] = [axis(width, shorter, rule), axis(height, shorter, rule)];
  const { data, info } = await raw(
    image
      .extract({ left: x.from, top: y.from, width: x.count, height: y.count })
      .extend({ top: MARGIN, bottom: MARGIN, left: MARGIN, right: MARGIN, extendWith: 'copy' }),
  );
  const { width: rawWidth, height: rawHeight, channels } = info;
  const matrix: [[number, number], [number, number]] = [
    [x.scale, 0],
    [0, y.scale],
  ];
  // Pixels have their centres in the middle: half one before, half one after. `nearest` takes the one it falls into.
  const half = kernel === 'nearest' ? 0 : 0.5;
  const offsets = { idx: half, idy: half, odx: -0.5 - x.rest, ody: -0.5 - y.rest };
  const large = await raw(
    sharp(data, { raw: { width: rawWidth, height: rawHeight, channels } }).affine(matrix, {
      interpolator: INTERPOLATORS[kernel],
      ...offsets,
    }),
  );
  return cut(large.data, large.info, { left: x.first, top: y.first, side: crop });
}

const raw = (image: Sharp) => image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
