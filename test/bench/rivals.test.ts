import t from 'tap';
import { INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT, slackFitBuckets } from '../../bench/policies/choosing.js';
import { type Contender, sizeWithin } from '../../bench/policies/contender.js';
import { fitLine } from '../../bench/policies/line.js';
import { bentoml, clipper, clockwork, fixed, proteus } from '../../bench/policies/one-instance.js';
import type { Waiting } from '../../src/policy/picture.js';
import type { View } from '../../src/policy/policy.js';
import { viewsWith } from '../support/view.js';
import { CHEAP, FULL, predict } from './support.js';

const INSTANCES = [FULL, CHEAP];
const view = viewsWith(predict);
const many = (count: number, deadlineMs: number, facts: Partial<Waiting> = {}): Waiting[] =>
  Array.from({ length: count }, () => ({
    allowed: INSTANCES,
    deadlineMs,
    strict: true,
    late: false,
    arrivalMs: 0,
    ...facts,
  }));
/** What a fresh one does with these: instance and size, or undefined. */
function first(contender: Contender, waiting: Waiting[], facts: Partial<View> = {}) {
  const { run } = contender.create(INSTANCES).policy(waiting, view(facts));
  return run && [run.instance.id, run.pictures.length];
}

t.test('fixed: the largest batch that is in time', (t) => {
  t.same(first(fixed('full'), many(5, 100)), ['full', 4]);
  t.same(first(fixed('full'), many(5, 8)), ['full', 2]);
  t.same(first(fixed('full'), many(5, 3)), undefined);
  t.end();
});

t.test('clipper: one more after each good run, a tenth less after a miss', (t) => {
  const { policy, finished } = clipper('full').create(INSTANCES);
  const size = () => policy(many(9, 100), view()).run?.pictures.length;
  const end = (missed: number) =>
    finished?.({ instance: FULL, size: size() ?? 0, predictedMs: 1, actualMs: 1, missed });
  const sizes = [0, 0, 0, 1].map((missed) => {
    const before = size();
    end(missed);
    return before;
  });
  t.same(sizes, [1, 2, 2, 4]);
  t.equal(size(), 2, '3.6 runs as 2');
  t.end();
});

t.test('bentoml: cancels the oldest while all that wait would be too late for it', (t) => {
  const { policy } = bentoml('full').create(INSTANCES);
  const waiting = [...many(2, 9), ...many(2, 100)];
  const { expired, run } = policy(waiting, view());
  t.equal(expired.length, 2, 'four would take 13 ms, three 10');
  t.equal(run?.pictures.length, 2);
  t.end();
});

t.test('a line is fitted by least squares', (t) => {
  t.same(fitLine([1, 3, 5].map((x) => ({ x, y: 3 * x + 1 }))), { a: 3, b: 1 });
  t.end();
});

t.test('proteus: waits until the next larger batch could only just be in time', (t) => {
  const { policy } = proteus('full').create(INSTANCES);
  t.match(policy(many(1, 20), view()), { waitUntilMs: 13 });
  t.equal(policy(many(1, 20), view({ nowMs: 13 })).run?.pictures.length, 1);
  t.equal(policy(many(8, 100), view()).run?.pictures.length, 8, 'the largest batch does not wait');
  t.end();
});

t.test('clockwork: predicts by the longest of its last runs', (t) => {
  const { policy, finished } = clockwork('full').create(INSTANCES);
  t.equal(policy(many(1, 5), view()).run?.pictures.length, 1);
  for (let n = 0; n < 10; n++) finished?.({ instance: FULL, size: 1, predictedMs: 4, actualMs: 6, missed: 0 });
  t.match(policy(many(1, 5), view()), { expired: [{ deadlineMs: 5 }] });
  t.end();
});

t.test('infaas: the cheapest that is allowed', (t) => {
  t.same(first(INFAAS, many(1, 100)), ['p01-r500', 1]);
  t.same(first(INFAAS, many(1, 100, { allowed: [FULL] })), ['full', 1]);
  t.end();
});

t.test('maxacc takes accuracy first, maxbatch the batch', (t) => {
  t.same(first(MAX_ACC, many(4, 5)), ['full', 1]);
  t.same(first(MAX_BATCH_FIRST, many(4, 5)), ['p01-r500', 4]);
  t.same(first(MAX_BATCH_FIRST, many(4, 13)), ['full', 4]);
  t.end();
});

t.test('slackfit: buckets are even, each with the largest batch that fits, then the most accurate', (t) => {
  const buckets = slackFitBuckets(INSTANCES, predict);
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
  t.end();
});

t.test('slackfit: the bucket below the slack decides', (t) => {
  t.same(first(SLACK_FIT, many(8, 25)), ['full', 8]);
  t.same(first(SLACK_FIT, many(8, 24)), ['p01-r500', 8]);
  t.same(first(SLACK_FIT, many(8, 2)), ['p01-r500', 1]);
  t.same(first(SLACK_FIT, many(8, 1.9)), undefined);
  t.end();
});

t.test('sizes are rounded down to those that run', (t) => {
  t.same([1, 2, 3.9, 4, 7, 100].map(sizeWithin), [1, 2, 2, 4, 4, 8]);
  t.end();
});
