import t from 'tap';
import { backlogMs, foresee } from '../../src/plan/admit.js';
import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import { BATCH_SIZES } from '../../src/runtime/batch-sizes.js';
import { times } from '../support/fake-latency.js';
import { FULL, predict, QUARTER } from '../support/instances.js';
import { snapshot, waiting } from '../support/snapshot.js';

const some = (count: number, facts: Partial<Waiting>) => Array.from({ length: count }, () => waiting(facts));
const asking = (facts: Partial<Waiting> = {}, decodes = [times(0)]) => ({
  ...waiting({ deadlineMs: 1000, ...facts }),
  decodes,
});
const doneMs = (all: readonly Waiting[], facts: Partial<Snapshot> = {}, its = asking()) =>
  foresee(its, snapshot(all, facts)).doneMs;
const rateMs = predict(QUARTER, 8) / 8;

t.test('without a backlog: its own decoding and its fastest run', (t) => {
  t.equal(doneMs([]), predict(QUARTER, 1));
  t.equal(doneMs([], { nowMs: 50 }), 50 + predict(QUARTER, 1));
  t.equal(doneMs([], {}, asking({ allowed: [FULL] }, [times(7)])), 7 + predict(FULL, 1));
  t.equal(doneMs([], {}, asking({}, [])), predict(QUARTER, 1), 'before its picture is known');
  t.end();
});

t.test('the backlog counts on its cheapest instances, in batches, divided by the available CPUs', (t) => {
  const ahead = some(10, { deadlineMs: 900 });
  const own = predict(QUARTER, 8);
  const near = (a: number, b: number) => t.ok(Math.abs(a - b) < 1e-9, `${a} for ${b}`);
  near(doneMs(ahead), 10 * rateMs + own);
  near(doneMs(some(10, { deadlineMs: 1100 })), predict(QUARTER, 1));
  near(doneMs(some(10, { deadlineMs: 900, allowed: [FULL] })), (10 * predict(FULL, 8)) / 8 + own);
  near(doneMs(some(10, { bestEffort: true, deadlineMs: 1 })), predict(QUARTER, 1));
  near(doneMs(ahead, { threads: 2 }), 5 * rateMs + predict(QUARTER, 4));
  near(doneMs(ahead, { margin: 1.5 }), 15 * rateMs + own);
  near(doneMs(some(10, { deadlineMs: 900, stage: 'encoded', decode: times(3) })), 10 * (rateMs + 3) + own);
  near(doneMs(ahead, { cpus: { count: 1, answerMs: 2, perRun: 1, networks: true } }), 10 * (rateMs + 2) + own);
  near(doneMs(ahead, { cpus: { count: 0.5, answerMs: 0, perRun: 1, networks: true } }), 20 * rateMs + own);
  near(doneMs([], { running: [{ startMs: -10, endMs: 30, cpuMs: 20 }] }), 15 + predict(QUARTER, 1));
  near(doneMs([], { running: [{ startMs: -10, endMs: -1, cpuMs: 20 }] }), predict(QUARTER, 1));
  t.end();
});

t.test('under overload there must be time for a full batch, if that saves much CPU time', (t) => {
  const ahead = some(10, { deadlineMs: 900 });
  const latency = (aloneMs: number) => ({
    run: (_: string, size: number) => ({ ...times(size === 1 ? aloneMs : size), highMs: 3 * size }),
  });
  const runOf = (aloneMs: number, arrivalsPerMs: number) =>
    doneMs(ahead, { arrivalsPerMs, latency: latency(aloneMs) }) - 10;
  t.equal(runOf(2, 0.5), 8, 'the mean of its batch');
  t.equal(runOf(2, 1.5), 24, 'what a full one hardly exceeds');
  t.equal(runOf(1, 1.5), 8, 'alone it takes as little');
  t.end();
});

t.test('on a GPU work ahead counts as in batches of 64, and the own run in a batch with those ahead', (t) => {
  const latency = { run: (_: string, size: number) => ({ ...times(10 + size), highMs: 3 * (10 + size) }) };
  const device = { latency, batchSizes: BATCH_SIZES.cuda };
  const each = 74 / 64;
  const near = (a: number, b: number) => t.ok(Math.abs(a - b) < 1e-9, `${a} for ${b}`);
  near(doneMs(some(40, { deadlineMs: 900 }), device), 40 * each + 42);
  near(doneMs(some(70, { deadlineMs: 900 }), device), 70 * each + 74);
  near(doneMs(some(40, { deadlineMs: 900 }), { ...device, arrivalsPerMs: 1 }), 40 * each + 3 * 74);
  t.end();
});

t.test('all pictures of a request have to be in time', (t) => {
  const five = Array.from({ length: 5 }, () => times(4));
  t.equal(doneMs([], {}, asking({}, five)), 5 * (4 + rateMs) + predict(QUARTER, 1));
  t.equal(
    doneMs([], { threads: 2, cpus: { count: 20, answerMs: 0, perRun: 1, networks: true } }, asking({}, five)),
    (5 * rateMs) / 2 + predict(QUARTER, 1),
  );
  t.end();
});

t.test('a request is harmful if it makes a later picture miss its deadline', (t) => {
  const harmless = (all: readonly Waiting[], facts: Partial<Waiting> = { deadlineMs: 10 }) =>
    foresee(asking({ allowed: [FULL], ...facts }), snapshot(all)).harmless;
  const behind = { allowed: [FULL], deadlineMs: 17 };
  t.equal(harmless([]), true);
  t.equal(harmless([waiting(behind)]), false, '8 and 10 ms of 17');
  t.equal(harmless([waiting({ ...behind, deadlineMs: 18 })]), true);
  t.equal(harmless([waiting({ ...behind, deadlineMs: 9 })], { deadlineMs: 8 }), true, 'it is late as it is');
  t.equal(harmless([waiting(behind)], { deadlineMs: 20 }), true, 'it is ahead');
  t.equal(harmless([waiting({ ...behind, bestEffort: true })]), true);
  t.equal(harmless([waiting({ allowed: [FULL] })]), true, 'it has no deadline');
  t.equal(harmless([waiting({ ...behind, deadlineMs: 18, stage: 'encoded', decode: times(2) })]), false);
  t.end();
});

t.test('the backlog is everything that waits or runs', (t) => {
  t.equal(backlogMs(snapshot([])), 0);
  const all = [...some(5, {}), ...some(5, { bestEffort: true })];
  t.equal(backlogMs(snapshot(all)), 10 * rateMs);
  t.end();
});
