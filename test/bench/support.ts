/** A family of two instances with run times in whole ms, so that tests can be calculated by hand. */
import { BATCH_SIZES } from '../../bench/batch-sizes.js';
import type { Table } from '../../bench/virtual/table.js';
import { instance } from '../support/instances.js';

export const FULL = instance('full', { flops: 1000, top1: 0.9 });
export const CHEAP = instance('p01-r500', { flops: 250, top1: 0.6 });

/** Time of a run in ms. full: 4, plus 3 for each further picture; cheap: 2, plus 1. */
export const runMs = (key: string, size: number): number =>
  key === FULL.key || key === FULL.id ? 4 + 3 * (size - 1) : 2 + (size - 1);

/** A latency table in which every run took `runMs`. */
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
