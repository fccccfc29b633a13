/** Mappings into memory, of which Linux allows a process so many. */
import { readFileSync } from 'node:fs';
import type { SharedFamily } from './share.js';

/** The rest is for code, heaps and stacks, and for what families without a place have of their own. */
const PART_FOR_WEIGHTS = 0.75;

/** vm.max_map_count; no limit where there is no /proc. */
export function mostMappings(file = '/proc/sys/vm/max_map_count'): number {
  try {
    return Number(readFileSync(file, 'utf8')) || Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * Families that can be mapped together, as each tensor is one mapping in each session of each engine thread: those with the
 * fewest first, so that most have a place. What goes beyond the limit would end as "out of memory" with much of it free.
 */
export function fitting(
  shared: ReadonlyMap<string, SharedFamily>,
  threads: number,
  most: number,
): ReadonlyMap<string, SharedFamily> {
  let left = most * PART_FOR_WEIGHTS;
  return new Map(
    [...shared]
      .sort(([, a], [, b]) => a.mapped - b.mapped)
      .filter(([, { mapped }]) => {
        left -= mapped * threads;
        return left >= 0;
      }),
  );
}

/** What vm.max_map_count has to be for all of them. */
export const neededFor = (shared: ReadonlyMap<string, SharedFamily>, threads: number): number =>
  Math.ceil(([...shared.values()].reduce((sum, { mapped }) => sum + mapped, 0) * threads) / PART_FOR_WEIGHTS);
