import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import { TUNING } from '../../src/plan/tuning.js';
import { FakeLatency, times } from './fake-latency.js';
import { FAMILY } from './instances.js';

/** A decoded picture of the test family that came at 0, but for the facts given; decoding would have taken nothing. */
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

/** One idle thread on one CPU that nothing else uses, three idle decoding processes, and nothing to come, but for the facts. */
export const snapshot = <W extends Waiting>(all: readonly W[], facts: Partial<Snapshot<W>> = {}): Snapshot<W> => ({
  nowMs: 0,
  waiting: all,
  running: [],
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
