import fc from 'fast-check';
import t from 'tap';
import { choiceAt, offersOf } from '../../src/plan/price.js';
import { FakeLatency, times } from '../support/fake-latency.js';
import { FAMILY, FULL, HALF, instance, QUARTER, THIRD } from '../support/instances.js';
import { snapshot } from '../support/snapshot.js';

const offers = offersOf(snapshot([]));

t.test('price 0 selects the most accurate instance, an infinite price the cheapest, others in between', (t) => {
  const at = (price: number) => choiceAt(offers(FAMILY), price).instance;
  t.equal(at(0), FULL);
  t.equal(at(Number.POSITIVE_INFINITY), QUARTER);
  // 8 ms for 0.9, 4 for 0.88, 2.8 for 0.86, 2 for 0.8.
  t.equal(at(0.0049), FULL);
  t.equal(at(0.0051), HALF, 'two points for four ms');
  t.equal(at(0.0165), HALF);
  t.equal(at(0.0168), THIRD);
  t.equal(at(0.076), QUARTER);
  t.equal(choiceAt(offers([HALF]), 99).instance, HALF, 'a limit holds at any price');
  t.end();
});

t.test('an instance below the convex hull of the others is never chosen', (t) => {
  const under = instance('p09-r500', { flops: 450, top1: 0.865 });
  const worse = instance('p08-r500', { flops: 600, top1: 0.87 });
  const latency = new FakeLatency((key, size) => {
    const all = [...FAMILY, under, worse];
    return ((all.find((i) => i.key === key)?.flops ?? 0) / 100) * 0.8 * size;
  });
  const { hull } = offersOf(snapshot([], { latency }))([FULL, worse, HALF, under, THIRD, QUARTER]);
  t.same(
    hull.map((o) => o.instance),
    [FULL, HALF, THIRD, QUARTER],
  );
  t.end();
});

t.test('the CPU time of a picture is its share of a run of the largest batch of the device', (t) => {
  const latency = new FakeLatency((_, size) => 10 + size);
  const costs = (batchSizes: readonly number[]) =>
    offersOf(snapshot([], { latency, batchSizes }))([FULL]).hull[0]?.cpuMs;
  t.equal(costs([1, 2, 4, 8]), 18 / 8);
  t.equal(costs([1, 2, 4, 8, 16, 32, 64]), 74 / 64);
  t.equal(costs([1]), 11);
  t.end();
});

t.test('the fastest times of a list of instances are computed once', (t) => {
  const latency = {
    run: (key: string) => ({ ...times(key === HALF.key ? 1 : 9), meanMs: key === QUARTER.key ? 0.5 : 7 }),
  };
  const { fastestHighMs, fastestMeanMs } = offersOf(snapshot([], { latency }))(FAMILY);
  t.same([fastestHighMs, fastestMeanMs], [1, 0.5]);
  t.equal(offers(FAMILY), offers(FAMILY), 'computed once');
  t.end();
});

t.test('for any times and accuracies, a higher price selects less CPU time and less accuracy', (t) => {
  const facts = fc.record({
    flops: fc.integer({ min: 1, max: 1000 }),
    top1: fc.double({ min: 0.1, max: 1, noNaN: true }),
  });
  const prices = fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 2, maxLength: 9 });
  fc.assert(
    fc.property(fc.array(facts, { minLength: 1, maxLength: 12 }), prices, (list, some) => {
      const all = list.map((f, n) => instance(`p${n + 10}-r500`, f));
      const flops = new Map(all.map((i) => [i.key, i.flops]));
      const latency = new FakeLatency((key, size) => (flops.get(key) as number) * size);
      const its = offersOf(snapshot([], { latency }))(all);
      const chosen = [0, ...some.sort((a, b) => a - b), Number.POSITIVE_INFINITY].map((p) => ({
        p,
        ...choiceAt(its, p),
      }));
      return chosen.every((c, n) => {
        const worth = (o: { instance: { accuracy: number }; cpuMs: number }) => o.instance.accuracy - c.p * o.cpuMs;
        const before = chosen[n - 1];
        const best = Math.max(...all.map((i) => worth({ instance: i, cpuMs: flops.get(i.key) as number })));
        const isBest = c.p === Number.POSITIVE_INFINITY || worth(c) >= best - 1e-9;
        return isBest && (!before || (c.cpuMs <= before.cpuMs && c.instance.accuracy <= before.instance.accuracy));
      });
    }),
    { numRuns: 300 },
  );
  t.end();
});
