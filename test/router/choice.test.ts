import t from 'tap';
import type { DimmerError } from '../../src/errors.js';
import type { Instance } from '../../src/family/instance.js';
import { parseBudget } from '../../src/router/budget.js';
import { type Choice, choose, nearest, type Offer } from '../../src/router/choice.js';
import { FAMILY, FULL, HALF, instance, predict, QUARTER, THIRD } from '../support/instances.js';

/** A family on an idle host: 1 ms for decoding, 2.5 to 10 ms for the network. */
const OFFER: Offer = { instances: FAMILY, fullFlops: FULL.flops, idleMs: (i) => 1 + predict(i, 1) };
const chosen = (text: string): Choice => choose(parseBudget(text), OFFER);
const ids = ({ allowed }: Choice) => allowed.map((i) => i.id);

t.test('without latency the instance is fixed', (t) => {
  t.same(ids(chosen('')), [FULL.id], 'no budget: the most accurate');
  t.same(ids(chosen('cost=0.5')), [HALF.id], 'the most accurate within cost');
  t.same(ids(chosen('cost=0.499')), [THIRD.id]);
  t.same(ids(chosen('flops=350')), [THIRD.id], 'the most accurate within FLOPs');
  t.same(ids(chosen('accuracy=0.81')), [THIRD.id], 'accuracy alone: the cheapest that has it');
  t.same(ids(chosen('accuracy=0.81, cost=0.6')), [HALF.id], 'accuracy and cost: the most accurate of those allowed');
  t.same(ids(chosen('accuracy=0.81, flops=600')), [HALF.id], 'and so with FLOPs');
  t.match(chosen('cost=0.5'), { latencyMs: undefined, bestEffort: false });
  t.end();
});

t.test('with latency every instance that can be in time is allowed, most accurate first', (t) => {
  t.same(ids(chosen('latency=11')), [FULL.id, HALF.id, THIRD.id, QUARTER.id]);
  t.same(ids(chosen('latency=10')), [HALF.id, THIRD.id, QUARTER.id]);
  t.same(ids(chosen('latency=10, cost=0.4')), [THIRD.id, QUARTER.id]);
  t.same(ids(chosen('latency=10, accuracy=0.85')), [HALF.id, THIRD.id]);
  t.equal(chosen('latency=10').latencyMs, 10);
  t.end();
});

t.test('reasons say what decided', (t) => {
  t.equal(chosen('').reason, 'most accurate');
  t.equal(chosen('cost=0.5').reason, 'most accurate within cost 0.5');
  t.equal(chosen('flops=350').reason, 'most accurate within 350 FLOPs');
  t.equal(chosen('accuracy=0.81').reason, 'cheapest with accuracy at least 0.81');
  t.equal(chosen('latency=10, cost=0.4').reason, 'most accurate in time within 10 ms, within cost 0.4');
  t.equal(chosen('cost=0.1, strict=?0').reason, 'cheapest: no instance is within the budget');
  t.equal(chosen('latency=1, strict=?0').reason, 'cheapest: latency cannot be met');
  t.equal(chosen('accuracy=1, strict=?0').reason, 'most accurate (accuracy given up)');
  t.equal(
    chosen('accuracy=1, cost=0.5, strict=?0').reason,
    'most accurate within cost 0.5 (accuracy given up)',
    'of what is left',
  );
  t.end();
});

t.test('strict: a budget that nothing meets is refused with the nearest values that can be met', (t) => {
  const cases: [string, Record<string, number>][] = [
    ['flops=249', { flops: 250 }],
    ['cost=0.1', { cost: 0.25 }],
    ['accuracy=0.95', { accuracy: 0.9 }],
    ['latency=1', { latency: 4 }],
    ['cost=0.4, accuracy=0.87', { cost: 0.5, accuracy: 0.86 }],
    ['latency=4, accuracy=0.85', { latency: 5, accuracy: 0.8 }],
    ['latency=3.5, flops=1', { flops: 250 }],
    ['flops=1, accuracy=1', {}],
  ];
  for (const [text, values] of cases) {
    const error = t.throws(() => chosen(text), text) as DimmerError;
    t.equal(error.code, 'infeasible-budget');
    t.same(error.facts.members, { nearest: values }, text);
  }
  t.end();
});

t.test('a refusal says which budget, which values would do, and what to do', (t) => {
  const factsOf = (text: string) => (t.throws(() => chosen(text)) as DimmerError).facts;
  const some = factsOf('cost=0.4, accuracy=0.87');
  t.equal(some.detail, 'no instance is within cost 0.4, with accuracy at least 0.87, even when this host is idle');
  t.equal(some.expected, 'changing one member: cost=0.5 or accuracy=0.86');
  t.match(some.action, 'strict=?0');
  const none = factsOf('flops=1, accuracy=1');
  t.equal(none.expected, 'a budget that some instance meets; see GET /models', 'where no one member is to blame');
  t.end();
});

t.test('only members that were given have a nearest value', (t) => {
  t.same(Object.keys(nearest(parseBudget('cost=0.5'), OFFER)), ['cost']);
  t.same(nearest(parseBudget(''), OFFER), {});
  t.end();
});

t.test('each nearest value can really be met, the other members left as they are', (t) => {
  for (const [text, members] of [
    ['cost=0.1', ['cost']],
    ['flops=1', ['flops']],
    ['latency=1', ['latency']],
    ['accuracy=0.999', ['accuracy']],
    ['cost=0.3, accuracy=0.85, latency=5', ['cost', 'accuracy']],
  ] as const) {
    const budget = parseBudget(text);
    const found = nearest(budget, OFFER);
    t.same(Object.keys(found), members, text);
    for (const [member, value] of Object.entries(found)) {
      t.doesNotThrow(() => choose({ ...budget, [member]: value }, OFFER), `${text} with ${member}=${value}`);
    }
  }
  t.end();
});

t.test('not strict: members give way in order, accuracy, latency, cost and flops', (t) => {
  t.same(ids(chosen('cost=0.4, accuracy=0.87, strict=?0')), [THIRD.id], 'accuracy first');
  const noLatency = chosen('cost=0.4, latency=1, strict=?0');
  t.same(ids(noLatency), [QUARTER.id], 'late, so the cheapest within cost');
  t.equal(noLatency.bestEffort, true);
  const both = chosen('accuracy=0.87, cost=0.4, latency=6, strict=?0');
  t.same(ids(both), [THIRD.id, QUARTER.id], 'without accuracy, latency and cost hold');
  t.equal(both.bestEffort, false);
  const nothing = chosen('cost=0.1, strict=?0');
  t.same(ids(nothing), [QUARTER.id], 'then the cheapest');
  t.equal(nothing.bestEffort, false, 'there was no latency to be late for');
  t.same(ids(chosen('flops=1, strict=?0')), [QUARTER.id]);
  t.match(chosen('flops=1, latency=3.5, strict=?0'), { bestEffort: false, latencyMs: 3.5 }, 'just in time');
  t.match(
    chosen('cost=0.1, latency=20, strict=?0'),
    { bestEffort: false, latencyMs: 20 },
    'a latency that can be met is kept',
  );
  t.match(chosen('cost=0.1, latency=1, strict=?0'), { bestEffort: true, latencyMs: undefined });
  t.end();
});

t.test('not strict and feasible: as if strict', (t) => {
  for (const text of ['', 'cost=0.5', 'latency=10, cost=0.4', 'accuracy=0.81']) {
    t.same(ids(chosen(text ? `${text}, strict=?0` : 'strict=?0')), ids(chosen(text)), text);
  }
  t.end();
});

t.test('of twins the faster one is the cheaper', (t) => {
  const twin = { ...QUARTER, id: 'p01-r500-i8', key: 'test/p01-r500-i8', precision: 'int8' as const };
  const offer: Offer = { ...OFFER, instances: [...FAMILY, twin], idleMs: (i) => (i === twin ? 2 : OFFER.idleMs(i)) };
  const of = (text: string) => choose(parseBudget(text), offer);
  t.same(ids(of('accuracy=0.7')), [twin.id]);
  t.match(of('cost=0.1, latency=3, strict=?0'), { allowed: [{ id: twin.id }], latencyMs: 3, bestEffort: false });
  t.same(ids(of('cost=0.3')), [QUARTER.id], 'the most accurate: of equals the one that is listed first');
  t.end();
});

t.test('the order in which a family lists its instances decides nothing', (t) => {
  const shuffled = { ...OFFER, instances: [QUARTER, FULL, THIRD, HALF] };
  t.same(ids(choose(parseBudget('latency=11'), shuffled)), ids(chosen('latency=11')));
  t.same(ids(choose(parseBudget(''), shuffled)), [FULL.id]);
  t.end();
});

t.test('of equally accurate ones the one of fewer FLOPs, of equally cheap ones the more accurate', (t) => {
  const among = (text: string, ...instances: Instance[]) => ids(choose(parseBudget(text), { ...OFFER, instances }));
  const dear = instance('p04-r500', { flops: 600, top1: HALF.top1 });
  t.same(among('cost=0.9', dear, HALF), [HALF.id]);
  t.same(among('latency=20', dear, HALF), [HALF.id, dear.id]);
  const poor = instance('p04-r500', { flops: QUARTER.flops, top1: 0.7 });
  t.same(among('accuracy=0.6', poor, QUARTER), [QUARTER.id]);
  t.end();
});

t.test('a family without instances is a fault of ours, not of the budget', (t) => {
  t.throws(() => choose(parseBudget('strict=?0'), { ...OFFER, instances: [] }), /serves at least `full`/);
  t.end();
});
