/**
 * Where pixels come to lie when a small picture is enlarged, as training has it: the middle stays in the middle. libvips'
 * own resizing moves what it enlarges by half an output pixel (libvips#4841), and a network that sees small maps answers
 * otherwise. Pure.
 */
import type { ResizeRule } from '../family/instance.js';

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
