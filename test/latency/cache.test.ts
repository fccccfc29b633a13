import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Family } from '../../src/family/instance.js';
import { type Baselines, baselinesOf } from '../../src/latency/baselines.js';
import { LatencyCache, type Measured } from '../../src/latency/cache.js';
import { temporaryFolder } from '../support/app.js';
import { FAMILY, FULL, predict } from '../support/instances.js';

const LAYOUT = {
  device: 'cpu',
  engineThreads: 1,
  onnxThreads: 1,
  onnxruntime: '0',
  allocator: 'none',
  families: ['test@1'],
  weights: ['auto'],
};
const FAMILIES = [{ name: 'test', instances: FAMILY } as unknown as Family];

const SAMPLES = Object.fromEntries(FAMILY.map((i) => [i.key, { 1: [predict(i, 1)], 8: [predict(i, 8)] }]));
const MEASURED: Measured = {
  baselines: baselinesOf(SAMPLES, [{ family: 'test', kind: 'JPEG', megapixels: 0.5, ms: [3, 4, 9] }], 2),
  fasterTwins: new Set(['test/full-i8']),
  settled: true,
};

function setUp(t: Test, folder = join(temporaryFolder(t), 'a', 'b')) {
  const cache = new LatencyCache(folder, LAYOUT);
  const read = () => {
    const reasons: string[] = [];
    return { found: cache.read(FAMILIES, (r) => reasons.push(r)), reasons };
  };
  const path = () => join(folder, readdirSync(folder)[0] as string);
  /** Writes the cache, changes the file, and reads it again. */
  const after = (change: (content: Content) => unknown) => {
    cache.write(MEASURED);
    const content = JSON.parse(readFileSync(path(), 'utf8'));
    const changed = change(content) ?? content;
    writeFileSync(path(), typeof changed === 'string' ? changed : JSON.stringify(changed));
    return read();
  };
  return { cache, folder, read, path, after };
}

t.test('a cache that was written can be read; a missing one is no error', (t) => {
  const { cache, folder, read } = setUp(t);
  t.same(read(), { found: undefined, reasons: [] });
  cache.write(MEASURED);
  const { found, reasons } = read();
  t.same(found, MEASURED);
  t.same(reasons, []);
  t.equal(readdirSync(folder).length, 1, 'nothing else is left');
  t.end();
});

for (const [what, change, reason] of [
  ['is no JSON', () => '{"format"', /JSON/],
  ['is of another format', (c: object) => ({ ...c, format: 1 }), /format/],
  ['is about another host', (c: object) => ({ ...c, facts: {} }), /another host/],
  ['is absurdly slow', run({ aMs: 1e300, bMs: 0 }), /run of test\/full cannot take 1e\+300 ms/],
  ['is absurdly fast', run({ aMs: 0, bMs: 1e-9 }), /cannot take 1e-9 ms/],
  ['is negative', run({ aMs: -5, bMs: 20 }), /baselines/],
  ['is no number', run({ aMs: null, bMs: 1 }), /baselines/],
  ['is infinite', run({ aMs: 'Infinity', bMs: 1 }), /baselines/],
  ['lacks an instance', (c: Content) => void delete c.baselines.runs[FULL.key], /test\/full was not measured/],
  [
    'is absurd for a decode',
    (c: Content) => void Object.assign(c.baselines.families, { test: 1e9 }),
    /decoding for test cannot take/,
  ],
  [
    'is absurd for pixels',
    (c: Content) => void Object.assign(c.baselines.kinds, { JPEG: 1e9 }),
    /decoding for JPEG cannot take/,
  ],
  ['names an unknown kind', (c: Content) => void Object.assign(c.baselines.kinds, { BMP: 1 }), /kinds/],
  ['differs by nothing', (c: Content) => void Object.assign(c.baselines, { runSpread: [0] }), /runSpread/],
  ['has twins that are no names', (c: Content) => ({ ...c, fasterTwins: [1] }), /fasterTwins/],
  ['is huge', () => ' '.repeat(2 * 1024 * 1024), /bytes/],
] as [string, (c: Content) => unknown, RegExp][]) {
  t.test(`a cache that ${what} is measured again, and the reason is told`, (t) => {
    const { found, reasons } = setUp(t).after(change);
    t.equal(found, undefined);
    t.equal(reasons.length, 1);
    t.match(reasons[0], reason);
    t.end();
  });
}

interface Content {
  baselines: { -readonly [K in keyof Baselines]: Baselines[K] };
}
function run(line: unknown) {
  return (c: Content) => void Object.assign(c.baselines.runs, { [FULL.key]: line });
}

t.test('a folder or file that others can write is neither believed nor written', (t) => {
  const { cache, folder, read, path } = setUp(t);
  cache.write(MEASURED);
  for (const mode of [0o777, 0o1777, 0o770, 0o702]) {
    chmodSync(folder, mode);
    t.equal(read().found, undefined);
    t.match(read().reasons, [/can be written by others/]);
    t.throws(() => cache.write(MEASURED), /can be written by others/);
  }
  chmodSync(folder, 0o755);
  t.ok(read().found, 'others may look');
  chmodSync(path(), 0o666);
  t.match(read(), { found: undefined, reasons: [/can be written by others/] });
  t.end();
});

t.test('a link is no cache file; a folder may be one to a folder of our own', (t) => {
  const { cache, folder, path } = setUp(t);
  cache.write(MEASURED);
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
  cache.write(MEASURED);
  const file = path();
  chmodSync(file, 0o600);
  const other = temporaryFolder(t);
  mkdirSync(join(other, file.split('/').at(-1) as string));
  const { read: readOther, cache: otherCache } = setUp(t, other);
  t.match(readOther(), { found: undefined, reasons: [/plain file/] });
  t.throws(() => otherCache.write(MEASURED));
  t.equal(readdirSync(other).length, 1, 'nothing half written is left');
  t.ok(read().found);
  t.end();
});
