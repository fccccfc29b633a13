import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Family } from '../../src/family/instance.js';
import { LatencyCache } from '../../src/scheduler/cache.js';
import { LatencyTable } from '../../src/scheduler/latency.js';
import { temporaryFolder } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { FAMILY, FULL, predict } from '../support/instances.js';

const LAYOUT = {
  device: 'cpu',
  engineThreads: 1,
  onnxThreads: 1,
  onnxruntime: '0',
  allocator: 'none',
  families: ['test@1'],
};
const FAMILIES = [{ name: 'test', instances: FAMILY } as unknown as Family];
const SIZES = [1, 2, 4, 8];

function table(): LatencyTable {
  const result = new LatencyTable(() => 0);
  for (const i of FAMILY) for (const n of SIZES) result.measured(i.key, n, predict(i, n));
  return result;
}

function setUp(t: Test, folder = join(temporaryFolder(t), 'a', 'b')) {
  const cache = new LatencyCache(folder, LAYOUT);
  const read = () => {
    const reasons: string[] = [];
    return { found: cache.read(FAMILIES, new FakeClock(), (r) => reasons.push(r)), reasons };
  };
  const path = () => join(folder, readdirSync(folder)[0] as string);
  /** Writes, changes what was written, and reads. */
  const after = (change: (content: { samples: Record<string, Record<string, unknown[]>> }) => unknown) => {
    cache.write(table());
    const content = JSON.parse(readFileSync(path(), 'utf8'));
    const changed = change(content) ?? content;
    writeFileSync(path(), typeof changed === 'string' ? changed : JSON.stringify(changed));
    return read();
  };
  return { cache, folder, read, path, after };
}

t.test('what was written is read; before that there is nothing, and nothing to complain of', (t) => {
  const { cache, folder, read } = setUp(t);
  t.same(read(), { found: undefined, reasons: [] });
  cache.write(table());
  const { found, reasons } = read();
  t.equal(found?.predict(FULL.key, 8), predict(FULL, 8));
  t.same(reasons, []);
  t.equal(readdirSync(folder).length, 1, 'nothing else is left');
  t.end();
});

t.test('what many threads measured can be read', (t) => {
  const { cache, read } = setUp(t);
  const many = table();
  for (let n = 0; n < 29 * 20; n++)
    for (const i of FAMILY) for (const size of SIZES) many.measured(i.key, size, predict(i, size));
  for (let n = 0; n < 29 * 20; n++) many.measuredAgain(FULL.key, 7);
  cache.write(many);
  t.match(read(), { reasons: [] });
  t.ok(read().found);
  t.end();
});

for (const [what, change, reason] of [
  ['is no JSON', () => '{"format"', /JSON/],
  ['is of another format', (c: object) => ({ ...c, format: 1 }), /format/],
  ['is about another host', (c: object) => ({ ...c, facts: {} }), /another host/],
  ['is absurdly slow', at(1, [1e300]), /1e\+300 ms cannot be/],
  ['is absurdly fast', at(1, [1e-9]), /cannot be what a run took/],
  [
    'is absurd for a run after the same',
    (c: Content) => void Object.assign(c, { again: { [FULL.key]: [1e9] } }),
    /right after/,
  ],
  ['is negative', at(1, [-5]), /samples/],
  ['is no number', at(1, [null]), /samples/],
  ['is empty', at(1, []), /samples/],
  ['is infinite', at(1, ['Infinity']), /samples/],
  ['takes less for eight than for one', at(8, [2]), /cannot take 10 ms for one picture and 2 ms for 8/],
  ['takes a thousand times as long for eight', at(8, [50_000]), /cannot take/],
  ['lacks a size', (c: Content) => void delete c.samples[FULL.key]?.[4], /was not measured at batch size 4/],
  ['lacks an instance', (c: Content) => void delete c.samples[FULL.key], /was not measured/],
  ['is huge', () => ' '.repeat(17 * 1024 * 1024), /bytes/],
] as [string, (c: Content) => unknown, RegExp][]) {
  t.test(`a cache that ${what} is measured again, and the reason is told`, (t) => {
    const { found, reasons } = setUp(t).after(change);
    t.equal(found, undefined);
    t.equal(reasons.length, 1);
    t.match(reasons[0], reason);
    t.end();
  });
}
t.test('runs of less than a millisecond may be measured in any order on a busy host', (t) => {
  const { found, reasons } = setUp(t).after((c: Content) => {
    Object.assign(c.samples, { [FULL.key]: { 1: [0.261], 2: [0.113], 4: [0.9], 8: [0.5] } });
  });
  t.same(reasons, []);
  t.ok(found);
  t.end();
});

interface Content {
  samples: Record<string, Record<string, unknown[]>>;
}
function at(size: number, values: unknown[]) {
  return (c: Content) => {
    (c.samples[FULL.key] as Record<string, unknown[]>)[size] = values;
  };
}

t.test('a folder or file that others can write is neither believed nor written', (t) => {
  const { cache, folder, read, path } = setUp(t);
  cache.write(table());
  for (const mode of [0o777, 0o1777, 0o770, 0o702]) {
    chmodSync(folder, mode);
    t.equal(read().found, undefined);
    t.match(read().reasons, [/can be written by others/]);
    t.throws(() => cache.write(table()), /can be written by others/);
  }
  chmodSync(folder, 0o755);
  t.ok(read().found, 'others may look');
  chmodSync(path(), 0o666);
  t.match(read(), { found: undefined, reasons: [/can be written by others/] });
  t.end();
});

t.test('a link is no cache file; a folder may be one to a folder of our own', (t) => {
  const { cache, folder, path } = setUp(t);
  cache.write(table());
  const link = join(temporaryFolder(t), 'link');
  symlinkSync(folder, link);
  t.ok(setUp(t, link).read().found);
  const other = temporaryFolder(t);
  symlinkSync(path(), join(other, path().split('/').at(-1) as string));
  t.match(setUp(t, other).read(), { found: undefined, reasons: [/ELOOP/] });
  chmodSync(folder, 0o777);
  t.match(setUp(t, link).read().reasons, [/can be written by others/], 'what the link leads to counts');
  t.end();
});

t.test('a folder in place of the file', (t) => {
  const { cache, path, read } = setUp(t);
  cache.write(table());
  const file = path();
  chmodSync(file, 0o600);
  const other = temporaryFolder(t);
  mkdirSync(join(other, file.split('/').at(-1) as string));
  const { read: readOther, cache: otherCache } = setUp(t, other);
  t.match(readOther(), { found: undefined, reasons: [/plain file/] });
  t.throws(() => otherCache.write(table()));
  t.equal(readdirSync(other).length, 1, 'nothing half written is left');
  t.ok(read().found);
  t.end();
});
