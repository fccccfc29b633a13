/**
 * Enlarging as training does: the middle of the picture stays in the middle. libvips' own resizing moves what it enlarges
 * by half an output pixel (libvips#4841), which costs a network that sees small maps several points of accuracy.
 */
import sharp from 'sharp';
import type { ResizeRule } from '../family/instance.js';
import { cut, type Raw } from './cut.js';

/** What libvips takes for each kernel when it enlarges: it knows no wider one for that. */
const INTERPOLATORS = {
  nearest: sharp.interpolators.nearest,
  linear: sharp.interpolators.bilinear,
  cubic: sharp.interpolators.bicubic,
  mitchell: sharp.interpolators.bicubic,
  lanczos2: sharp.interpolators.bicubic,
  lanczos3: sharp.interpolators.bicubic,
} as const satisfies Record<ResizeRule['kernel'], string>;

/** Pixels around what is needed, so that no interpolator reaches beyond. */
const MARGIN = 2;

/** One axis of a picture: which pixels are needed, and how they come to lie. */
interface Axis {
  /** The first pixel that is needed, and how many are; some may lie beyond the border. */
  readonly from: number;
  readonly count: number;
  /** Output pixels for one of the picture. */
  readonly scale: number;
  /** Where the first output pixel lies among those that these become: whole, and rest. */
  readonly first: number;
  readonly rest: number;
}

/** length: of this side, shorter: of the shorter one. The square is where `cut` of training/sdpoint/photos.py has it. */
export function axis(length: number, shorter: number, { size, crop }: Pick<ResizeRule, 'size' | 'crop'>): Axis {
  const whole = Math.max(size, Math.round((length * size) / shorter));
  const scale = whole / length;
  const left = Math.floor((whole - size + 1) / 2) + Math.floor((size - crop) / 2);
  const positionOf = (output: number) => (left + output + 0.5) / scale - 0.5;
  const from = Math.floor(positionOf(0)) - MARGIN;
  const count = Math.ceil(positionOf(crop - 1)) + MARGIN + 1 - from;
  const place = left - from * scale;
  return { from, count, scale, first: Math.floor(place), rest: place - Math.floor(place) };
}

/**
 * RGB [crop, crop, 3] uint8 of a picture whose shorter side has fewer than `size` pixels.
 * middle: its pixels, of a side with more than `size` those in the middle; width, height: of all of it.
 */
export async function enlarge(
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
