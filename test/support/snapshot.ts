import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import { TUNING } from '../../src/plan/tuning.js';
import { BATCH_SIZES } from '../../src/runtime/batch-sizes.js';
import { FakeLatency, times } from './fake-latency.js';
import { FAMILY } from './instances.js';

/** A waiting picture of the test family: decoded, without deadline, arrived at 0. facts: members with other values. */
export const waiting = (facts: Partial<Waiting> = {}): Waiting => ({
  stage: 'decoded',
  allowed: FAMILY,
  deadlineMs: Number.POSITIVE_INFINITY,
  strict: true,
  bestEffort: false,
  arrivalMs: 0,
  decode: times(0.001),
  long: false,
  ...facts,
});

/**
 * A snapshot with these waiting pictures, one idle thread, one CPU without other use, three idle decoding processes and
 * no expected arrivals. facts: members with other values.
 */
export const snapshot = <W extends Waiting>(all: readonly W[], facts: Partial<Snapshot<W>> = {}): Snapshot<W> => ({
  nowMs: 0,
  waiting: all,
  running: [],
  batchSizes: BATCH_SIZES.cpu,
  threads: 1,
  idleThreads: 1,
  decodePlaces: { short: 3, long: 2 },
  cpus: { count: facts.threads ?? 1, answerMs: 0, perRun: 1, networks: true },
  arrivalsPerMs: 0,
  dispersion: 1,
  margin: 1,
  latency: new FakeLatency(),
  tuning: TUNING,
  ...facts,
});
