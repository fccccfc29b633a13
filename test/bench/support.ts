/** Two instances and runs that take whole milliseconds, small enough to count by hand. */
import type { Trace } from '../../bench/simulate/traces.js';
import type { World } from '../../bench/simulate/world.js';
import type { Predict } from '../../src/policy/picture.js';
import { instance } from '../support/instances.js';

export const FULL = instance('full', { flops: 1000, top1: 0.9 });
export const CHEAP = instance('p01-r500', { flops: 250, top1: 0.6 });

/** full: 4 ms and 3 more for each further picture; cheap: 2 ms and 1 more. */
export const predict: Predict = (i, size) => (i === FULL ? 4 + 3 * (size - 1) : 2 + (size - 1));

export const world = (facts: Partial<World> = {}): World => ({
  instances: [FULL, CHEAP],
  threads: 1,
  deadlineMs: 10,
  predict,
  expect: predict,
  cost: predict,
  durationMs: predict,
  ...facts,
});

export const trace = (arrivalsMs: readonly number[], facts: Partial<Trace> = {}): Trace => ({
  name: 'test',
  arrivalsMs,
  bursty: false,
  ...facts,
});
