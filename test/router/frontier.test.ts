import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { chosenFrom, frontier } from '../../src/router/frontier.js';
import { FAMILY, FULL, HALF, instance, QUARTER, THIRD } from '../support/instances.js';

const ids = (instances: Instance[]) => instances.map((i) => i.id);
const twinOf = (i: Instance, facts: Partial<Instance> = {}) =>
  instance(`${i.id}-i8`, { ...i, key: `${i.key}-i8`, id: `${i.id}-i8`, precision: 'int8', ...facts });

t.test('instances of which none beats another are all on the frontier', (t) => {
  t.same(ids(frontier(FAMILY)), ids(FAMILY));
  t.end();
});

t.test('an instance is off if another has no more FLOPs, no less accuracy, and is better in one', (t) => {
  const facts = { flops: 600, top1: 0.85 };
  const other = instance('p05-r500', facts);
  for (const better of [{ top1: 0.851 }, { flops: 599 }, { top1: 0.87, flops: 500 }]) {
    const its = instance('p04-r500', { ...facts, ...better });
    t.same(ids(frontier([FULL, other, its])), [FULL.id, its.id]);
  }
  t.end();
});

t.test('an instance stays if another is worse in one of the two, or equal in both', (t) => {
  const other = instance('p05-r500', { flops: 600, top1: 0.85 });
  for (const facts of [
    { flops: 601, top1: 0.86 },
    { flops: 599, top1: 0.849 },
    { flops: 600, top1: 0.85 },
  ]) {
    t.ok(frontier([FULL, other, instance('p04-r500', facts)]).includes(other));
  }
  t.end();
});

t.test('full is always on it, even if a cheaper one is better', (t) => {
  const best = instance('p01-r750', { flops: 400, top1: 0.95 });
  t.same(ids(frontier([FULL, best, QUARTER, THIRD])), ['full', 'p01-r750', 'p01-r500', 'p02-r500']);
  t.end();
});

t.test('accuracy is compared as it is smoothed', (t) => {
  const smoothed = instance('p04-r500', { flops: 450, top1: 0.5, accuracy: 0.879 });
  t.ok(frontier([FULL, HALF, smoothed]).includes(smoothed));
  t.end();
});

t.test('an int8 instance takes the place of that of its own network only', (t) => {
  const other = instance('b-full', { network: 'b', p: 0, r: 1, flops: 600, top1: 0.89 });
  const [full8, other8] = [twinOf(FULL), twinOf(other)];
  const all = [FULL, full8, HALF, other, other8];
  t.same(ids(frontier(all)), ['full', 'p03-r500', 'b-full'], 'one frontier of all networks');
  t.same(ids(chosenFrom(all, new Set([other8.key]))), ['full', 'p03-r500', 'b-full-i8']);
  t.same(ids(chosenFrom(all, new Set([full8.key]))), ['full', 'full-i8', 'p03-r500', 'b-full']);
  t.end();
});

t.test('int8 instances are on no frontier; where they are faster they take their places', (t) => {
  const [full8, half8, third8] = [twinOf(FULL), twinOf(HALF, { accuracy: 0.99 }), twinOf(THIRD)];
  const all = [...FAMILY, full8, half8, third8];
  t.same(frontier(all), FAMILY, 'whatever their accuracy');
  t.same(chosenFrom(all, new Set()), FAMILY);
  t.same(chosenFrom(all, new Set([half8.key])), [FULL, half8, THIRD, QUARTER]);
  t.same(chosenFrom(all, new Set([full8.key])), [FULL, full8, HALF, THIRD, QUARTER], 'full stays as well');
  const poor = instance('p04-r500', { flops: 600, top1: 0.5 });
  t.same(chosenFrom([FULL, HALF, poor, twinOf(poor)], new Set([twinOf(poor).key])), [FULL, HALF], 'no place to take');
  t.same(chosenFrom(FAMILY, new Set(['test/gone-i8'])), FAMILY);
  t.end();
});
