import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { frontier } from '../../src/router/frontier.js';
import { FAMILY, FULL, HALF, instance, QUARTER, THIRD } from '../support/instances.js';

const asFlops = (i: Instance) => i.flops;
const ids = (instances: Instance[]) => instances.map((i) => i.id);

t.test('instances that each buy something are all on it', (t) => {
  t.same(ids(frontier(FAMILY, asFlops)), ids(FAMILY));
  t.end();
});

t.test('no more FLOPs, no slower, no less accurate and better in one: off', (t) => {
  const worse = instance('p04-r500', { flops: 600, top1: 0.87 });
  t.same(ids(frontier([...FAMILY, worse], asFlops)), ids(FAMILY));
  t.end();
});

t.test('dearer and less accurate, but faster on this host: on', (t) => {
  const faster = instance('p04-r500', { flops: 600, top1: 0.85 });
  const latency = (i: Instance) => (i === faster ? 100 : i.flops);
  t.ok(frontier([FULL, HALF, faster], latency).includes(faster));
  t.end();
});

t.test('within 3 % latency counts as equal', (t) => {
  const twin = instance('p04-r500', { flops: 600, top1: 0.85 });
  const latency = (i: Instance) => (i === twin ? 490 : i.flops);
  t.notOk(frontier([FULL, HALF, twin], latency).includes(twin), '490 is not faster than 500 for sure');
  t.end();
});

t.test('equal in everything: both stay', (t) => {
  const twin = instance('p04-r500', { flops: HALF.flops, top1: HALF.top1 });
  t.same(ids(frontier([FULL, HALF, twin], asFlops)), [FULL.id, HALF.id, twin.id]);
  t.end();
});

t.test('full is always on it, even if a cheaper one is better', (t) => {
  const best = instance('p01-r750', { flops: 400, top1: 0.95 });
  t.same(ids(frontier([FULL, best, QUARTER, THIRD], asFlops)), ['full', 'p01-r750', 'p01-r500', 'p02-r500']);
  t.end();
});

t.test('better in one alone is enough to put the other off', (t) => {
  const facts = { flops: 600, top1: 0.85 };
  const other = instance('p05-r500', facts);
  const off = (better: Instance, latency: (i: Instance) => number = () => 100) =>
    t.same(ids(frontier([FULL, other, better], (i) => (i === FULL ? 200 : latency(i)))), [FULL.id, better.id]);
  off(instance('p04-r500', { ...facts, top1: 0.851 }));
  off(instance('p04-r500', { ...facts, flops: 599 }));
  const fast = instance('p04-r500', facts);
  off(fast, (i) => (i === fast ? 90 : 100));
  t.end();
});

t.test('worse in one alone is enough to leave the other on', (t) => {
  const facts = { flops: 600, top1: 0.85 };
  const other = instance('p05-r500', facts);
  const on = (worse: Instance, latency: (i: Instance) => number) =>
    t.ok(frontier([FULL, other, worse], latency).includes(other));
  const all = { flops: 500, top1: 0.86 };
  const fast = (worse: Instance) => (i: Instance) => (i === worse ? 50 : 100);
  const dearer = instance('p04-r500', { ...all, flops: 601 });
  on(dearer, fast(dearer));
  const poorer = instance('p04-r500', { ...all, top1: 0.849 });
  on(poorer, fast(poorer));
  const slower = instance('p04-r500', all);
  on(slower, (i) => (i === slower ? 104 : 100));
  t.end();
});

t.test('latencies that are 3 % apart are equal still', (t) => {
  const [a, b] = [instance('p04-r500', { flops: 600, top1: 0.86 }), instance('p05-r500', { flops: 600, top1: 0.85 })];
  const threePercent = (slow: Instance) => (i: Instance) => (i === slow ? 103 : 100);
  t.notOk(frontier([FULL, a, b], threePercent(a)).includes(b), 'so the more accurate one is better');
  const same = instance('p05-r500', { flops: 600, top1: 0.86 });
  t.ok(frontier([FULL, a, same], threePercent(same)).includes(same), 'so of two alike neither is');
  t.end();
});
