/** The cache of shared graphs: written once, found again, and written again if it cannot be trusted. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { mock } from 'node:test';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Family } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { graphsOf } from '../../src/networks.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { GraphCache } from '../../src/weights/cache.js';
import { packedOf, placeOf, readModel } from '../../src/weights/graph.js';
import { processorOf, type SharedFamily, type Sharing, shareWeights } from '../../src/weights/share.js';
import { FAMILIES, temporaryFolder } from '../support/app.js';
import { mountSmall } from '../support/small-disk.js';

const TINY = await loadFamily(join(FAMILIES, 'tiny'));
const TWINS = await loadFamily(join(FAMILIES, '..', 'twins', 'tiny'));
const DYING = new URL('../fixtures/dying-builder.ts', import.meta.url);

interface Said {
  readonly kept: boolean;
  readonly reason: string;
}

/** Calls `shareWeights`; returns what is shared, what was built, and the troubles reported. */
async function share(cacheDir: string, options: Partial<Sharing> = {}, families: readonly Family[] = [TINY]) {
  const built: string[] = [];
  const trouble: Said[] = [];
  const shared = await shareWeights(families, {
    cacheDir,
    weights: 'auto',
    onnxruntime: '1.2.3',
    threads: 2,
    onBuilding: (family) => built.push(family),
    onTrouble: ({ kept, reason }) => trouble.push({ kept, reason }),
    ...options,
  });
  return { shared, built, trouble };
}

const folderOf = (shared: ReadonlyMap<string, SharedFamily>): string => {
  const [optimised] = [...(shared.get('tiny')?.graphs.values() ?? [])];
  return join(optimised?.path ?? '', '..');
};

/** Logits of one picture by each instance. */
async function logitsOf(t: Test, family: Family, shared?: SharedFamily): Promise<Float32Array[]> {
  const events: string[] = [];
  const pool = await ThreadPool.start({
    threads: 1,
    onnxThreads: 1,
    provider: 'cpu',
    graphs: graphsOf(family, shared),
    onThread: (event) => events.push(event),
  });
  const all: Float32Array[] = [];
  for (const { key } of family.instances) {
    const images = Uint8Array.from({ length: 16 * 16 * 3 }, (_, n) => (n * 31) % 256).buffer;
    all.push(await pool.run({ key, size: 1, images }));
  }
  await pool.close();
  t.same(events, [], 'each graph was loaded from where it should be');
  return all;
}

const furthest = (a: Float32Array[], b: Float32Array[]) =>
  Math.max(...a.flatMap((logits, n) => [...logits].map((v, k) => Math.abs(v - (b[n]?.[k] ?? Number.NaN)))));

t.test('graphs are made once and then found; every instance answers as without them', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'cache');
  const first = await share(cacheDir, {}, [TWINS]);
  t.same(first.built, ['tiny']);
  t.same(first.trouble, []);
  const again = await share(cacheDir, {}, [TWINS]);
  t.same(again.built, []);
  t.same(again.shared, first.shared);
  const found = again.shared.get('tiny') as SharedFamily;
  t.equal(found.graphs.size, TWINS.instances.length);
  const tensors = [...found.graphs.values()].flatMap(({ path }) => readModel(readFileSync(path)).graph.initializer);
  const blobs = tensors.flatMap(packedOf).flatMap((packed) => packed.blobs);
  t.equal(found.mapped, tensors.filter(placeOf).length + blobs.length);
  t.ok(blobs.length > 0, 'of int8 it has what weights are packed to');
  t.ok(found.mapped > 0);
  for (const [key, { pack }] of found.graphs) t.equal(pack, key.endsWith('-i8'), key);
  const difference = furthest(await logitsOf(t, TWINS), await logitsOf(t, TWINS, found));
  t.ok(difference < 1e-4, `${difference}`);
  t.same(readdirSync(cacheDir).length, 1, 'and nothing is left beside it');
  t.equal(statSync(cacheDir).mode & 0o777, 0o700);
});

t.test('WEIGHTS says how much is folded', async (t) => {
  const cacheDir = temporaryFolder(t);
  const folded = async (weights: Sharing['weights']) => {
    const { shared } = await share(cacheDir, { weights });
    return shared.get('tiny')?.folded ?? { done: Number.NaN, of: Number.NaN };
  };
  const [none, some, all] = [await folded('shared'), await folded('auto'), await folded('folded')];
  t.equal(none.done, 0);
  t.ok(some.done > 0 && some.done <= all.done);
  t.equal(all.done, all.of);
  t.equal(readdirSync(cacheDir).length, 3, 'each has a folder of its own');
});

t.test('another family, onnxruntime or processor asks for other graphs', async (t) => {
  const cacheDir = temporaryFolder(t);
  const { shared } = await share(cacheDir);
  t.same((await share(cacheDir, { onnxruntime: '1.2.4' })).built, ['tiny']);
  t.same((await share(cacheDir, {}, [{ ...TINY, version: 'another' }])).built, ['tiny']);
  // As if the folder had been copied from a host with another processor.
  const index = join(folderOf(shared), 'index.json');
  const text = readFileSync(index, 'utf8');
  writeFileSync(index, text.replace(/"processor":"[^"]*"/, '"processor":"another"'));
  const { trouble, built } = await share(cacheDir);
  t.match(trouble, [{ kept: true, reason: /made for something else/ }]);
  t.same(built, ['tiny']);
  t.same((await share(cacheDir)).trouble, [], 'and the next start finds the new ones');
});

t.test('a truncated file is detected, and made again', async (t) => {
  const cacheDir = temporaryFolder(t);
  const folder = folderOf((await share(cacheDir)).shared);
  const { facts } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'));
  const cache = new GraphCache(cacheDir);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const whole = readFileSync(path);
    for (let tenth = 0; tenth < 10; tenth++) {
      writeFileSync(path, whole.subarray(0, Math.floor((whole.length * tenth) / 10)));
      await t.rejects(cache.find(facts), `${name} at ${tenth} tenths`);
    }
    writeFileSync(path, whole);
    t.ok(await cache.find(facts), `${name} is whole again`);
  }
  truncateSync(join(folder, 'weights.bin'), 5000);
  const { built, trouble, shared } = await share(cacheDir);
  t.same([built, trouble.length, shared.size], [['tiny'], 1, 1]);
  t.same((await share(cacheDir)).built, []);
});

t.test('changed bytes and missing files are detected', async (t) => {
  const cacheDir = temporaryFolder(t);
  const { shared } = await share(cacheDir);
  const folder = folderOf(shared);
  const changed = readFileSync(join(folder, 'weights.bin'));
  changed[100] = (changed[100] ?? 0) ^ 1;
  writeFileSync(join(folder, 'weights.bin'), changed);
  t.match((await share(cacheDir)).trouble, [{ kept: true, reason: /was changed/ }]);
  renameSync(join(folder, 'p01-r500.onnx'), join(folder, 'moved.onnx'));
  t.match((await share(cacheDir)).trouble, [{ kept: true, reason: /ENOENT/ }]);
  appendFileSync(join(folder, 'full.onnx'), 'x');
  t.match((await share(cacheDir)).trouble, [{ kept: true, reason: /bytes and not/ }]);
  t.same((await share(cacheDir)).built, []);
});

t.test('files that other users could write are not used, and the reason is reported', async (t) => {
  const cacheDir = temporaryFolder(t);
  const folder = folderOf((await share(cacheDir)).shared);
  const { facts } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'));
  const cache = new GraphCache(cacheDir);
  for (const name of ['weights.bin', 'full.onnx', 'index.json']) {
    const path = join(folder, name);
    chmodSync(path, 0o620);
    await t.rejects(cache.find(facts), new RegExp(`${name}.* written by others`));
    chmodSync(path, 0o600);
    renameSync(path, join(cacheDir, name));
    symlinkSync(join(cacheDir, name), path);
    await t.rejects(cache.find(facts), new RegExp(name));
    renameSync(join(cacheDir, name), path);
  }
  writeFileSync(join(folder, 'index.json'), '{"format":1}');
  await t.rejects(cache.find(facts), /index\.json: .*another format/s);
});

t.test('if nothing can be kept, weights are not shared, and the reason is reported', async (t) => {
  const open = temporaryFolder(t);
  chmodSync(open, 0o777);
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  for (const folder of [open, file, join(file, 'x'), ...(process.platform === 'linux' ? ['/proc/x'] : [])]) {
    const { shared, trouble } = await share(folder);
    t.equal(shared.size, 0, folder);
    t.equal(trouble.at(-1)?.kept, false);
  }
  t.same(readdirSync(open), []);
});

t.test('a folder that may only be read is used if it has what is needed', async (t) => {
  const cacheDir = temporaryFolder(t);
  const { shared } = await share(cacheDir);
  const folders = [folderOf(shared), cacheDir];
  for (const folder of folders) chmodSync(folder, 0o500);
  t.teardown(() => {
    for (const folder of folders.toReversed()) chmodSync(folder, 0o700);
  });
  const again = await share(cacheDir);
  t.same([again.built, again.trouble, again.shared.size], [[], [], 1]);
});

t.test('a full disk leaves nothing behind', async (t) => {
  const folder = mountSmall(t);
  if (!folder) return;
  const { shared, trouble } = await share(join(folder, 'cache'));
  t.equal(shared.size, 0);
  t.match(trouble, [{ kept: false, reason: /ENOSPC|no space|write|fail/i }]);
  t.same(readdirSync(join(folder, 'cache')), []);
});

t.test('the service starts although the building thread dies', async (t) => {
  const cacheDir = temporaryFolder(t);
  const { shared, trouble } = await share(cacheDir, { worker: DYING });
  t.equal(shared.size, 0);
  t.match(trouble, [{ kept: false, reason: /ended with 3/ }]);
  t.same(readdirSync(cacheDir), []);
});

t.test('after a request to end it builds no more, leaves nothing behind and reports no trouble', async (t) => {
  const cacheDir = temporaryFolder(t);
  const ending = new AbortController();
  const twice = [TINY, { ...TINY, name: 'second' }];
  const options = { threads: 1, signal: ending.signal, onBuilding: () => ending.abort() };
  const { shared, trouble } = await share(cacheDir, options, twice);
  t.same([shared.size, trouble], [0, []]);
  t.same(readdirSync(cacheDir), []);
  const { built } = await share(cacheDir, { signal: ending.signal });
  t.same(built, [], 'and does not begin either');
});

t.test('processes that start together on an empty cache do not disturb each other', async (t) => {
  const cacheDir = join(temporaryFolder(t), 'cache');
  const script = fileURLToPath(new URL('../support/share-once.ts', import.meta.url));
  const outcomes = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const child = spawn(process.execPath, [...process.execArgv, script, cacheDir, join(FAMILIES, 'tiny')]);
      let said = '';
      child.stdout.on('data', (text) => {
        said += text;
      });
      const [status] = await once(child, 'close');
      return { status, said: said.trim() };
    }),
  );
  for (const { status, said } of outcomes) t.same([status, said], [0, '1 shared, 0 troubles']);
  t.equal(readdirSync(cacheDir).length, 1);
  t.same((await share(cacheDir)).trouble, []);
});

t.test('a folder that is built a second time is discarded if a valid one is there', async (t) => {
  const cache = new GraphCache(temporaryFolder(t));
  const facts = { family: 'x' };
  const made = { folded: { done: 0, of: 0 }, mapped: 0 };
  const build = (text: string) => {
    const folder = cache.begin();
    writeFileSync(join(folder, 'weights.bin'), text);
    return folder;
  };
  await cache.publish(build('a'), facts, made);
  const second = build('bb');
  t.equal((await cache.publish(second, facts, made)).files['weights.bin']?.bytes, 1);
  t.notOk(existsSync(second));
  truncateSync(join(cache.pathOf(facts), 'weights.bin'));
  t.equal((await cache.publish(build('ccc'), facts, made)).files['weights.bin']?.bytes, 3);
  t.equal((await cache.find(facts))?.files['weights.bin']?.bytes, 3);
  const path = cache.pathOf(facts);
  const inTheWay = [() => writeFileSync(path, ''), () => symlinkSync('/nowhere', path), () => mkdirSync(path)];
  for (const put of inTheWay) {
    rmSync(path, { recursive: true });
    put();
    await cache.publish(build('d'), facts, made);
    t.equal((await cache.find(facts))?.files['weights.bin']?.bytes, 1, `${put}`);
  }
});

t.test('if two processes replace a damaged folder, the first to finish is used by both', async (t) => {
  const root = temporaryFolder(t);
  const [facts, made] = [{ family: 'x' }, { folded: { done: 0, of: 0 }, mapped: 0 }];
  const build = (text: string) => {
    const folder = new GraphCache(root).begin();
    writeFileSync(join(folder, 'weights.bin'), text);
    return folder;
  };
  const whole = build('faster');
  await new GraphCache(root).publish(whole, facts, made);
  const path = new GraphCache(root).pathOf(facts);
  renameSync(path, whole);
  mkdirSync(join(path, 'damaged'), { recursive: true });
  const slower = new (class extends GraphCache {
    override discard(folder: string): void {
      super.discard(folder);
      if (basename(folder).startsWith('.replaced-')) renameSync(whole, path); // the other one was faster by this moment
    }
  })(root);
  t.equal((await slower.publish(build('slower?'), facts, made)).files['weights.bin']?.bytes, 'faster'.length);
  t.same(readdirSync(root), [basename(path)]);
});

t.test('leftovers of a killed process are removed before anything is built', async (t) => {
  const cacheDir = temporaryFolder(t);
  const left = join(cacheDir, '.graphs-left');
  mkdirSync(left);
  utimesSync(left, new Date(0), new Date(0));
  const there: boolean[] = [];
  await share(cacheDir, { onBuilding: () => there.push(existsSync(left)) });
  t.same(there, [false]);
});

t.test('folders that were not used for a month are deleted, unfinished ones after an hour', (t) => {
  const root = temporaryFolder(t);
  const hour = 3600 * 1000;
  const day = 24 * hour;
  const now = Date.now();
  const ages: Record<string, number> = {
    'graphs-new': 29 * day,
    'graphs-old': 31 * day,
    '.graphs-building': hour / 2,
    '.graphs-left': 2 * hour,
    '.replaced-left': 2 * hour,
    other: 99 * day,
  };
  for (const [name, age] of Object.entries(ages)) {
    mkdirSync(join(root, name));
    const index = join(root, name, 'index.json');
    if (name.startsWith('graphs-')) writeFileSync(index, '');
    const at = new Date(now - age);
    for (const path of existsSync(index) ? [index] : [join(root, name)]) utimesSync(path, at, at);
  }
  for (const name of ['.graphs-dangling', 'graphs-dangling']) symlinkSync('/nowhere', join(root, name));
  const left = [...Object.keys(ages), '.graphs-dangling', 'graphs-dangling'].sort();
  const tidy = (folder: string) => {
    const cache = new GraphCache(folder);
    cache.dropAbandoned(now);
    cache.dropStale(now);
  };
  chmodSync(root, 0o777);
  tidy(root);
  t.same(readdirSync(root).sort(), left, 'where others can write nothing is ours to delete');
  chmodSync(root, 0o700);
  tidy(root);
  t.same(readdirSync(root).sort(), ['.graphs-building', '.graphs-dangling', 'graphs-dangling', 'graphs-new', 'other']);
  t.doesNotThrow(() => tidy(join(root, 'none')));
  t.end();
});

t.test('a folder in use is not stale until the process that uses it ends', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const cacheDir = temporaryFolder(t);
  const ending = new AbortController();
  const { shared } = await share(cacheDir, { signal: ending.signal });
  const index = join(folderOf(shared), 'index.json');
  const [day, longAgo] = [24 * 3600 * 1000, new Date(0)];
  utimesSync(index, longAgo, longAgo);
  mock.timers.tick(day - 1);
  t.equal(statSync(index).mtimeMs, 0);
  mock.timers.tick(1);
  t.ok(statSync(index).mtimeMs > Date.now() - day);
  ending.abort();
  utimesSync(index, longAgo, longAgo);
  mock.timers.tick(2 * day);
  t.equal(statSync(index).mtimeMs, 0);
});

t.test('a processor is identified by its features', (t) => {
  const file = join(temporaryFolder(t), 'cpuinfo');
  writeFileSync(file, 'model name\t: x\nflags\t\t: fpu avx2 avx512f\n\nflags\t\t: other\n');
  t.match(processorOf(file), / avx2 avx512f fpu$/);
  writeFileSync(file, 'processor\t: 0\nFeatures\t: asimd fp\n');
  t.match(processorOf(file), / asimd fp$/);
  t.ok(processorOf('/nowhere').length > 0);
  t.end();
});
