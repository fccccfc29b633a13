/** The instances that stay in memory. */
import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { type Offered, residentOf } from '../../src/router/resident.js';
import { instance } from '../support/instances.js';

const named = (family: string, id: string, flops: number): Instance =>
  instance(id, { flops, p: id === 'full' ? 0 : 1, key: `${family}/${id}`, family });

function family(name: string, shared = true): Offered {
  const all = ['a', 'b', 'c', 'd'].map((id, n) => named(name, id, n + 1));
  const instances = [...all, named(name, 'full', 9), named(name, 'off', 3)];
  return { instances, chosen: instances.filter((i) => i.id !== 'off'), shared };
}

t.test('all instances if weights are shared, else the served ones', (t) => {
  const found = residentOf([family('x'), family('y', false)]);
  t.same([...found].sort(), ['x/a', 'x/b', 'x/c', 'x/d', 'x/full', 'x/off', 'y/a', 'y/b', 'y/c', 'y/d', 'y/full']);
  t.same([...residentOf([])], []);
  t.end();
});

t.test('if memory is limited: full first, then cheapest and most expensive in turn, of each family in turn', (t) => {
  const two = [family('x'), family('y', false)];
  t.same([...residentOf(two, 4)], ['x/full', 'y/full', 'x/a', 'y/a']);
  t.same([...residentOf(two, 7.9)], ['x/full', 'y/full', 'x/a', 'y/a', 'x/d', 'y/d', 'x/b']);
  t.same([...residentOf(two, 10)].slice(-2), ['x/c', 'y/c']);
  t.same([...residentOf(two, 0.1)], ['x/full', 'y/full'], 'full of each in any case');
  t.end();
});
