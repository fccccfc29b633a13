/** Two instances and runs that take whole milliseconds, small enough to count by hand. */

import type { Table } from '../../bench/virtual/table.js';
import { BATCH_SIZES } from '../../src/plan/snapshot.js';
import { instance } from '../support/instances.js';

export const FULL = instance('full', { flops: 1000, top1: 0.9 });
export const CHEAP = instance('p01-r500', { flops: 250, top1: 0.6 });

/** full: 4 ms and 3 more for each further picture; cheap: 2 ms and 1 more. */
export const runMs = (key: string, size: number): number =>
  key === FULL.key || key === FULL.id ? 4 + 3 * (size - 1) : 2 + (size - 1);

/** Every run took what `runMs` says. */
export const TABLE: Table = {
  family: 'test',
  version: '1',
  host: {},
  threads: 2,
  instances: [CHEAP, FULL].map(({ id, key, flops, share, accuracy }) => ({ id, key, flops, share, accuracy })),
  samples: Object.fromEntries(
    [FULL, CHEAP].map(({ id }) => [id, Object.fromEntries(BATCH_SIZES.map((n) => [n, Array(16).fill(runMs(id, n))]))]),
  ),
};
