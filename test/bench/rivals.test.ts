import t from 'tap';
import { INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT, slackFitBuckets } from '../../bench/policies/choosing.js';
import { type Contender, type Player, sizeWithin } from '../../bench/policies/contender.js';
import { fitLine } from '../../bench/policies/line.js';
import { bentoml, clipper, clockwork, greedy, proteus } from '../../bench/policies/one-instance.js';
import { Seat } from '../../bench/policies/seat.js';
import { offersOf } from '../../src/plan/price.js';
import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import { FakeLatency } from '../support/fake-latency.js';
import { snapshot, waiting } from '../support/snapshot.js';
import { CHEAP, FULL, runMs } from './support.js';

const INSTANCES = [FULL, CHEAP];
const latency = new FakeLatency(runMs);
const many = (count: number, deadlineMs: number, facts: Partial<Waiting> = {}): Waiting[] =>
  Array.from({ length: count }, () => waiting({ allowed: INSTANCES, deadlineMs, ...facts }));
const pinned = (count: number, deadlineMs: number, facts: Partial<Waiting> = {}) =>
  many(count, deadlineMs, { allowed: [FULL], ...facts });

/** The instance and batch size that a contender runs, or the time until which it waits. */
function choice({ chooseRun }: Player, decoded: Waiting[], facts: Partial<Snapshot> = {}) {
  const chosen = chooseRun(decoded, snapshot(decoded, { latency, ...facts }), offersOf(snapshot(decoded, { latency })));
  return chosen.type === 'run' ? [chosen.instance.id, chosen.pictures.length] : chosen.untilMs;
}
const first = (contender: Contender, decoded: Waiting[], facts: Partial<Snapshot> = {}) =>
  choice(contender.create(INSTANCES), decoded, facts);

t.test('greedy: the largest batch that is in time, and the head alone where none is for certain', async (t) => {
  t.same(first(greedy('full'), pinned(5, 100)), ['full', 4]);
  t.same(first(greedy('full'), pinned(5, 8)), ['full', 2]);
  t.same(first(greedy('full'), pinned(5, 3)), ['full', 1]);
});

t.test('clipper: one more after each good run, a tenth less after a miss', async (t) => {
  const player = clipper('full').create(INSTANCES);
  const size = () => (choice(player, pinned(9, 100)) as [string, number])[1];
  const sizes = [0, 0, 0, 1].map((missed) => {
    const before = size();
    player.finished?.({ instance: FULL, size: before, actualMs: 1, missed });
    return before;
  });
  t.same(sizes, [1, 2, 2, 4]);
  t.equal(size(), 2, '3.6 runs as 2');
});

t.test('bentoml: waits for more pictures while the added wait is below the mean wait', async (t) => {
  const player = bentoml('full').create(INSTANCES);
  t.same(choice(player, pinned(1, 100), { nowMs: 50 }), ['full', 1], 'nothing was learnt');
  // The mean wait is 50 ms. One that came just now would wait for a tick and a picture's 3 ms.
  const [old, young] = [pinned(1, 100), pinned(2, 100, { arrivalMs: 50 })];
  t.equal(choice(player, young, { nowMs: 50 }), 51);
  t.same(choice(player, old, { nowMs: 50 }), ['full', 1], 'it has waited for long');
  t.same(choice(player, pinned(8, 100, { arrivalMs: 50 }), { nowMs: 50 }), ['full', 8], 'a full batch does not wait');
});

t.test('bentoml: the line follows the runs', async (t) => {
  const player = bentoml('full').create(INSTANCES);
  choice(player, pinned(1, 100), { nowMs: 50 });
  for (const size of [1, 2]) player.finished?.({ instance: FULL, size, actualMs: 60 * size, missed: 0 });
  const young = pinned(1, 100, { arrivalMs: 50 });
  t.same(choice(player, young, { nowMs: 50 }), ['full', 1], 'one more would take 60 ms');
});

t.test('a line is fitted by least squares', async (t) => {
  t.same(fitLine([1, 3, 5].map((x) => ({ x, y: 3 * x + 1 }))), { a: 3, b: 1 });
});

t.test('proteus: waits until the next larger batch could only just be in time', async (t) => {
  t.equal(first(proteus('full'), pinned(1, 20)), 13);
  t.same(first(proteus('full'), pinned(1, 20), { nowMs: 13 }), ['full', 1]);
  t.same(first(proteus('full'), pinned(8, 100)), ['full', 8], 'the largest batch does not wait');
  t.same(first(proteus('full'), pinned(1, Number.POSITIVE_INFINITY)), ['full', 1], 'nor does what has no deadline');
});

t.test('clockwork: predicts by the longest of its last runs, and never runs what that makes late', async (t) => {
  const player = clockwork('full').create(INSTANCES);
  t.same(choice(player, pinned(1, 5)), ['full', 1]);
  for (let n = 0; n < 10; n++) player.finished?.({ instance: FULL, size: 1, actualMs: 6, missed: 0 });
  t.equal(choice(player, pinned(1, 5)), 5, 'waits until it is dropped');
  t.same(choice(player, [...pinned(1, 5), ...pinned(2, 100)]), ['full', 2], 'the others do not wait for it');
});

t.test('infaas: the cheapest that is allowed', async (t) => {
  t.same(first(INFAAS, many(1, 100)), ['p01-r500', 1]);
  t.same(first(INFAAS, pinned(1, 100)), ['full', 1]);
});

t.test('maxacc takes accuracy first, maxbatch the batch', async (t) => {
  t.same(first(MAX_ACC, many(4, 5)), ['full', 1]);
  t.same(first(MAX_ACC, many(4, 3)), ['p01-r500', 2]);
  t.same(first(MAX_BATCH_FIRST, many(4, 5)), ['p01-r500', 4]);
  t.same(first(MAX_BATCH_FIRST, many(4, 13)), ['full', 4]);
});

t.test('a batch has only pictures that allow its instance, and keeps each in time', async (t) => {
  const mixed = [...many(1, 100), ...pinned(1, 100), ...many(2, 100)];
  t.same(first(INFAAS, mixed), ['p01-r500', 2], 'three of them allow it');
  t.same(first(MAX_ACC, mixed), ['full', 4]);
  t.same(first(MAX_ACC, [...many(3, 100), ...many(1, 9)]), ['full', 2]);
});

t.test('slackfit: buckets are even, each with the largest batch that fits, then the most accurate', async (t) => {
  const buckets = slackFitBuckets(INSTANCES, { latency });
  const ends = [buckets[0], buckets.at(-1)];
  t.same(
    ends.map((b) => [b?.edgeMs, b?.choice.instance.id, b?.choice.size]),
    [
      [2, 'p01-r500', 1],
      [25, 'full', 8],
    ],
  );
  const steps = buckets.slice(1).map((b, n) => b.edgeMs - (buckets[n]?.edgeMs ?? 0));
  t.ok(steps.every((step) => Math.abs(step - 23 / 15) < 1e-9));
});

t.test('slackfit: the bucket below the slack decides', async (t) => {
  t.same(first(SLACK_FIT, many(8, 25)), ['full', 8]);
  t.same(first(SLACK_FIT, many(8, 24)), ['p01-r500', 8]);
  t.same(first(SLACK_FIT, many(8, 2)), ['p01-r500', 1]);
  t.same(first(SLACK_FIT, many(8, 1.9)), ['p01-r500', 1], 'in time for nothing certain');
});

t.test('best effort runs last and on its cheapest instance, with every contender', async (t) => {
  const late = many(2, 1, { bestEffort: true });
  t.same(first(MAX_ACC, late, { nowMs: 50 }), ['p01-r500', 2]);
  t.same(first(MAX_ACC, [...many(1, 100), ...late], { nowMs: 50 }), ['full', 1]);
});

t.test('a seat tells its contender when a run that it chose has ended', async (t) => {
  const told: object[] = [];
  let nowMs = 0;
  const learning: Contender = {
    ...MAX_ACC,
    create: (instances) => ({ ...MAX_ACC.create(instances), finished: (facts) => told.push(facts) }),
  };
  const seat = new Seat(
    learning,
    () => INSTANCES,
    () => nowMs,
  );
  const all = [...many(1, 7), ...many(1, 20)];
  t.match(seat.next(snapshot(all, { latency })), { type: 'run', instance: FULL });
  await seat.run(async () => {
    nowMs = 12;
  });
  await seat.run(async () => {}); // nobody chose this one
  t.same(told, [{ instance: FULL, size: 2, actualMs: 12, missed: 1 }]);
  t.match(seat.next(snapshot(many(1, 1), { latency, nowMs })), { type: 'drop' }, 'dropping is not the player’s');
});

t.test('sizes are rounded down to those that run', async (t) => {
  t.same([1, 2, 3.9, 4, 7, 100].map(sizeWithin), [1, 2, 2, 4, 4, 8]);
});
