/** A picture's place in the queue, and what its allowed instances come to. */
import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { byRank, fastest, limitsOf, type Waiting } from '../../src/policy/picture.js';
import { FAMILY, FULL, HALF, instance, predict, QUARTER, THIRD } from '../support/instances.js';

const limits = limitsOf({ predict, expect: predict, cost: predict });
const hullOf = (...allowed: Instance[]) => limits(allowed).hull.map((i) => i.id);

t.test('of equal deadlines who came first goes first', (t) => {
  const at = (arrivalMs: number): Waiting => ({
    allowed: FAMILY,
    deadlineMs: 50,
    strict: true,
    late: false,
    arrivalMs,
  });
  t.same(
    [at(7), at(3), at(5)].sort(byRank).map((w) => w.arrivalMs),
    [3, 5, 7],
  );
  t.end();
});

t.test('the fastest, wherever it is listed; of equals the first', (t) => {
  t.equal(fastest(FAMILY, predict), QUARTER);
  t.equal(fastest([QUARTER, THIRD, FULL], predict), QUARTER);
  t.equal(
    fastest([HALF, THIRD], () => 1),
    HALF,
  );
  t.end();
});

t.test('limits: the fastest alone, the best rate, and the smallest batch that about has it', (t) => {
  for (const allowed of [FAMILY, FAMILY.toReversed()]) {
    t.match(limits(allowed), { aloneMs: 2.5, rateMs: 2, batch: { size: 2, highMs: 4, meanMs: 4, costMs: 4 } });
    t.equal(limits(allowed).costMs.get(FULL), 8);
    t.equal(limits(allowed), limits(allowed), 'computed once for each list');
  }
  t.end();
});

t.test('the hull: each gains less accuracy for its cost than the one before, most accurate first', (t) => {
  const all = FAMILY.map((i) => i.id);
  t.same(hullOf(...FAMILY), all);
  t.same(hullOf(...FAMILY.toReversed()), all);
  const dull = instance('p05-r500', { flops: 450, top1: 0.861 });
  t.same(hullOf(FULL, HALF, dull, THIRD, QUARTER), all, 'not what taking turns beats');
  const line = [
    instance('p01-r500', { flops: 250, top1: 0.5 }),
    instance('p02-r500', { flops: 375, top1: 0.625 }),
    instance('p03-r500', { flops: 500, top1: 0.75 }),
  ];
  t.same(hullOf(...line), ['p03-r500', 'p01-r500'], 'nor what equals taking turns');
  t.same(hullOf(...FAMILY, instance('p06-r500', { flops: 1200, top1: 0.89 })), all, 'nor what is dearer and worse');
  t.same(hullOf(...FAMILY, instance('p06-r500', { flops: 1200, top1: FULL.top1 })), all, 'or dearer and no better');
  const worse = instance('p04-r500', { flops: HALF.flops, top1: 0.87 });
  t.same(hullOf(worse, HALF), [HALF.id], 'of equally dear ones the more accurate');
  t.end();
});
