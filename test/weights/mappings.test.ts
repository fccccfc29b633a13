/** The families that can be shared within the kernel's limit of memory mappings. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fitting, mostMappings, neededFor } from '../../src/weights/mappings.js';
import type { SharedFamily } from '../../src/weights/share.js';
import { temporaryFolder } from '../support/app.js';

const family = (mapped: number): SharedFamily => ({
  graphs: new Map(),
  bytes: 0,
  folded: { done: 0, of: 0 },
  mapped,
  release: () => {},
});

t.test('families are shared up to three quarters of the mappings that the kernel allows', (t) => {
  const shared = new Map([
    ['large', family(60)],
    ['small', family(10)],
    ['middle', family(20)],
  ]);
  const names = (threads: number, most: number) => [...fitting(shared, threads, most).keys()].sort();
  t.same(names(1, 120), ['large', 'middle', 'small']);
  t.same(names(1, 119), ['middle', 'small']);
  t.same(names(2, 120), ['middle', 'small'], 'each thread maps for itself');
  t.same(names(2, 79), ['small']);
  t.same(names(1, 0), []);
  t.same(names(9, Number.POSITIVE_INFINITY), ['large', 'middle', 'small']);
  t.equal(names(3, neededFor([...shared.values()], 3)).length, 3, 'what is said to be needed is enough');
  t.equal(names(3, neededFor([...shared.values()], 3) - 1).length, 2, 'and no more than that');
  t.end();
});

t.test('the limit is that of the kernel; without /proc there is none', (t) => {
  const file = join(temporaryFolder(t), 'max_map_count');
  writeFileSync(file, '65530\n');
  t.equal(mostMappings(file), 65_530);
  writeFileSync(file, '');
  for (const path of [file, '/nowhere']) t.equal(mostMappings(path), Number.POSITIVE_INFINITY);
  t.end();
});
