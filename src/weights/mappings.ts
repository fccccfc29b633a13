/** Keeps shared weights within the number of memory mappings that Linux allows a process (vm.max_map_count). */
import { readFileSync } from 'node:fs';
import type { SharedFamily } from './share.js';

/**
 * Share of the allowed mappings for shared weights; code, heaps, stacks and families that are not shared need the rest.
 */
const PART_FOR_WEIGHTS = 0.75;

/** The value of vm.max_map_count; Infinity where there is no /proc. */
export function mostMappings(file = '/proc/sys/vm/max_map_count'): number {
  try {
    return Number(readFileSync(file, 'utf8')) || Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * The families that fit within `most` mappings; those with the fewest mappings first, so that as many as possible fit.
 * Each tensor takes one mapping in each session of each engine thread. Beyond the limit, allocations fail with "out of
 * memory" although memory is free.
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

/** The value of vm.max_map_count at which all these families fit. */
export const neededFor = (shared: readonly SharedFamily[], threads: number): number =>
  Math.ceil((shared.reduce((sum, { mapped }) => sum + mapped, 0) * threads) / PART_FOR_WEIGHTS);
