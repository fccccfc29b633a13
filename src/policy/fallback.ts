/** What is done when the policy fails: nothing clever, nothing that could fail, and always a step on. Pure. */
import type { Instance } from '../family/instance.js';
import type { Waiting } from './picture.js';
import type { Decision } from './policy.js';

/** By FLOPs, which are always known. */
export const cheapestOf = (allowed: readonly Instance[]): Instance =>
  allowed.reduce((a, b) => (b.flops < a.flops ? b : a));

/**
 * The first picture alone on its cheapest allowed instance; strict ones whose time is over have expired.
 * predictedMs: unknown, so 0. waiting: in order of rank.
 */
export function firstAlone<W extends Waiting>(waiting: readonly W[], nowMs: number): Decision<W> {
  const over = (w: W) => w.strict && !w.late && w.deadlineMs <= nowMs;
  const expired = waiting.filter(over);
  const first = waiting.find((w) => !over(w));
  if (!first) return { expired, turnedLate: [] };
  return { expired, turnedLate: [], run: { instance: cheapestOf(first.allowed), pictures: [first], predictedMs: 0 } };
}
