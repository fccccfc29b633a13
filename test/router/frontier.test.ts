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
