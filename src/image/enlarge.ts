/**
 * Geometry of enlarging a small picture as training does it: the centre of the picture stays at the centre. The resize
 * of libvips shifts an enlarged picture by half an output pixel (libvips#4841), which changes the answers of networks
 * that see small feature maps. Pure.
 */
import type { ResizeRule } from '../family/instance.js';

/** Extra source pixels on each side: the widest interpolator (bicubic) reads up to 2 pixels around a position. */
const MARGIN = 2;

/** One axis of the picture: which source pixels are needed, and how they map to output pixels. */
interface Axis {
  /** The first source pixel needed; it may lie before the border (negative). */
  readonly from: number;
  /** How many source pixels are needed; the last may lie beyond the border. */
  readonly count: number;
  /** Output pixels per source pixel. */
  readonly scale: number;
  /** Position of the first pixel of the result within the enlarged source pixels: the whole part. */
  readonly first: number;
  /** The fractional part of that position. */
  readonly rest: number;
}

/**
 * The geometry of one axis. length: source pixels of this side; shorter: of the shorter side. The square that is cut
 * out is the one of `cut` in training/sdpoint/photos.py.
 */
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
