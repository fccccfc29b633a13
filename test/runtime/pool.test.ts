import { cpSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import { loadFamily } from '../../src/family/load.js';
import { graphsOf } from '../../src/networks.js';
import { anonymousMb } from '../../src/runtime/memory.js';
import { hasJemalloc, ThreadPool } from '../../src/runtime/pool.js';
import type { Batch, Graph } from '../../src/runtime/runtime.js';
import { shareWeights } from '../../src/weights/share.js';
import { FAMILIES, temporaryFolder, until } from '../support/app.js';

const DYING = new URL('../fixtures/dying-worker.ts', import.meta.url);

/**
 * Files in which onnxruntime stores usage reports, with their times; other programs of this user may have written some.
 */
function reports(): [string, number][] {
  const folder = join(homedir(), '.cache/Microsoft/DeveloperTools/.onnxruntime');
  try {
    return readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs]);
  } catch {
    return [];
  }
}
const REPORTS_BEFORE = reports();

async function tinyGraphs(): Promise<Graph[]> {
  return graphsOf(await loadFamily(join(FAMILIES, 'tiny')));
}
const batch = (key: string, size = 1, first = 0): Batch => {
  const images = new Uint8Array(size * 16 * 16 * 3);
  images[0] = first;
  return { key, size, images: images.buffer };
};
const GRAPH: Graph = { key: 'a', path: '/nowhere', shape: [16, 16, 3], classes: 3 };

t.test('two threads run every instance, at once', async (t) => {
  const graphs = await tinyGraphs();
  const pool = await ThreadPool.start({ threads: 2, onnxThreads: 1, provider: 'cpu', graphs });
  t.teardown(() => pool.close());
  t.equal(pool.idle, 2);
  const [a, b] = [pool.run(batch('tiny/full', 1)), pool.run(batch('tiny/p01-r500', 4))];
  t.equal(pool.idle, 0);
  t.throws(() => pool.run(batch('tiny/full')), /without a free engine thread/);
  t.equal((await a).length, 3);
  t.equal((await b).length, 12);
  let runs = 0;
  await pool.onEveryThread(async (run) => {
    for (const { key } of graphs) {
      const { logits, cpuMs = 0 } = await run(batch(key));
      t.equal(logits.length, 3);
      if (process.platform === 'linux') t.ok(cpuMs > 0 && cpuMs < 1000, `${cpuMs} ms`);
      runs++;
    }
  });
  t.equal(runs, 2 * graphs.length);
});

t.test('the device sets the batch sizes', async (t) => {
  for (const provider of ['cpu', 'cuda'] as const) {
    const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider, graphs: [GRAPH], worker: DYING });
    t.teardown(() => pool.close());
    t.equal(pool.batchSizes.at(-1), provider === 'cpu' ? 8 : 64);
    t.equal(pool.batchSizes[0], 1);
    t.ok(pool.batchSizes.every((size, n) => n === 0 || size > (pool.batchSizes[n - 1] as number)));
  }
});

t.test('a run that fails is an error with a code, and the thread goes on', async (t) => {
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs: await tinyGraphs() });
  t.teardown(() => pool.close());
  await t.rejects(pool.run(batch('tiny/none')), { code: 'engine-failed' });
  await t.rejects(pool.run({ ...batch('tiny/full'), size: 9 }), { code: 'engine-failed' });
  t.equal((await pool.run(batch('tiny/full'))).length, 3);
});

t.test('graphs are added and removed while others run; what cannot be loaded does not stay', async (t) => {
  const [first, ...others] = (await tinyGraphs()) as [Graph, ...Graph[]];
  const pool = await ThreadPool.start({ threads: 2, onnxThreads: 1, provider: 'cpu', graphs: [first] });
  t.teardown(() => pool.close());
  pool.keep(new Set([first.key]));
  // Somebody who takes every idle thread at once, as the pipeline does under load.
  let [going, runs] = [true, 0];
  const take = () => {
    while (going && pool.idle > 0) void pool.run(batch(first.key)).then(() => runs++);
  };
  pool.onIdle(take);
  take();
  await pool.add(others);
  t.ok(runs > 0, 'the others went on');
  for (const { key } of others) t.ok(pool.keeps(key));
  await t.rejects(pool.add([{ ...first, key: 'broken', path: '/nowhere', optimised: undefined }]), /nowhere/);
  await t.rejects(pool.add([{ ...first, key: 'odd', classes: 7 }]), /odd gives 3 logits for 7 labels/);
  t.notOk(pool.keeps('broken') || pool.keeps('odd'));
  going = false;
  await until(() => pool.idle === 2);
  const { key } = others[0] as Graph;
  t.equal((await pool.run(batch(key))).length, 3);
  pool.remove(new Set([key]));
  t.notOk(pool.keeps(key));
  await t.rejects(pool.run(batch(key)), { cause: { message: `no graph ${key}` } });
});

t.test('a thread that replaces a dead one has the graphs that were added', async (t) => {
  const pool = await ThreadPool.start({ worker: DYING, threads: 1, onnxThreads: 1, provider: 'cpu', graphs: [GRAPH] });
  t.teardown(() => pool.close());
  await pool.add([{ ...GRAPH, key: 'b' }]);
  const run = pool.run(batch('b', 1, 13)); // ends the thread
  await t.rejects(pool.add([{ ...GRAPH, key: 'c' }]), /died/, 'a thread that dies while graphs are loaded');
  await t.rejects(run, { code: 'engine-failed' });
  await until(() => pool.idle === 1);
  t.ok((await pool.run(batch('b'))).length > 0);
});

t.test('graphs outside the kept set are freed, and loaded again for a run', async (t) => {
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs: await tinyGraphs() });
  t.teardown(() => pool.close());
  t.ok(pool.keeps('tiny/p01-r500'), 'all, until somebody says which');
  pool.keep(new Set(['tiny/full']));
  t.ok(pool.keeps('tiny/full') && !pool.keeps('tiny/p01-r500'));
  t.equal((await pool.run(batch('tiny/full'))).length, 3);
  const [once, again] = [await pool.run(batch('tiny/p01-r500')), await pool.run(batch('tiny/p01-r500'))];
  t.same(once, again);
  t.equal(once.length, 3);
  await t.rejects(pool.run(batch('tiny/none')), { code: 'engine-failed', cause: { message: /no graph/ } });
});

t.test('of graphs that are loaded for a run only the last two stay', async (t) => {
  // A file that is gone cannot be loaded once more, which tells who was freed.
  const folder = temporaryFolder(t);
  const [graph] = (await tinyGraphs()).filter((g) => g.key === 'tiny/full') as [Graph];
  cpSync(dirname(graph.path), folder, { recursive: true });
  const graphs = ['kept', 'a', 'b', 'c'].map((key) => ({ ...graph, key, path: join(folder, `${key}.onnx`) }));
  for (const { path } of graphs) cpSync(graph.path, path);
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs });
  t.teardown(() => pool.close());
  pool.keep(new Set(['kept']));
  for (const key of ['a', 'b', 'a', 'c']) await pool.run(batch(key));
  for (const { path } of graphs) rmSync(path);
  for (const key of ['kept', 'a', 'c']) t.equal((await pool.run(batch(key))).length, 3, key);
  await t.rejects(pool.run(batch('b')), { code: 'engine-failed' }, 'it was used least recently');
  t.equal((await pool.run(batch('a'))).length, 3, 'and what fails to load frees nobody');
});

t.test('sessions that are released and loaded again and again take no more memory', async (t) => {
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs: await tinyGraphs() });
  t.teardown(() => pool.close());
  pool.keep(new Set());
  const keys = ['tiny/full', 'tiny/p01-r500', 'tiny/p02-r500']; // one more than stay
  const loads = async (count: number) => {
    for (let n = 0; n < count; n++) await pool.run(batch(keys[n % keys.length] as string));
    return anonymousMb();
  };
  await loads(30);
  const [before, after] = [await loads(30), await loads(100)];
  // A session of this network takes 0.3 MiB at least, so that 100 that are kept would be seen.
  if (before === undefined || after === undefined) t.pass('unknown', { skip: 'memory is told by /proc alone' });
  else t.ok(after - before < 15, `${before} and ${after} MiB`);
});

t.test('an optimised graph is used as long as its file exists, then the original', async (t) => {
  const family = await loadFamily(join(FAMILIES, 'tiny'));
  const cacheDir = temporaryFolder(t);
  const shared = await shareWeights([family], {
    cacheDir,
    weights: 'auto',
    onnxruntime: 'x',
    threads: 1,
    onTrouble: ({ reason }) => t.fail(reason),
  });
  const events: string[] = [];
  const loaded: number[] = [];
  const pool = await ThreadPool.start({
    threads: 2,
    onnxThreads: 1,
    provider: 'cpu',
    graphs: graphsOf(family, shared.get('tiny')),
    onThread: (event) => events.push(event),
    onLoaded: (graphs) => loaded.push(graphs),
  });
  t.teardown(() => pool.close());
  t.same(
    loaded.toSorted((a, b) => a - b),
    loaded,
    'progress never goes back',
  );
  t.equal(loaded.at(-1), family.instances.length);
  const before = await pool.run(batch('tiny/p01-r500'));
  for (const name of readdirSync(cacheDir)) rmSync(join(cacheDir, name), { recursive: true });
  t.same(await pool.run(batch('tiny/p01-r500')), before, 'what is mapped stays');
  t.same(events, []);
  pool.keep(new Set());
  const after = await pool.run(batch('tiny/p01-r500'));
  t.ok(
    [...after].every((v, n) => Math.abs(v - (before[n] as number)) < 1e-4),
    'the same network',
  );
  t.same(events, ['not-shared']);
});

t.test('closing waits for the run under way', async (t) => {
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs: await tinyGraphs() });
  const run = pool.run(batch('tiny/full', 8));
  await pool.close();
  t.equal((await run).length, 24);
  t.equal(pool.alive, 0);
});

t.test('a device that cannot be had is an error at start, never another device', async (t) => {
  const graphs = await tinyGraphs();
  await t.rejects(ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cuda', graphs }), {
    name: 'StartError',
    message: /cannot start on cuda/,
  });
});

t.test('a graph that cannot be loaded is an error at start', async (t) => {
  await t.rejects(ThreadPool.start({ threads: 2, onnxThreads: 1, provider: 'cpu', graphs: [GRAPH] }), {
    name: 'StartError',
  });
});

for (const [how, first] of [
  ['exits', 13],
  ['throws', 14],
] as const) {
  t.test(`a thread that ${how} fails its pictures and is replaced`, async (t) => {
    const events: string[] = [];
    const pool = await ThreadPool.start({
      threads: 2,
      onnxThreads: 1,
      provider: 'cpu',
      graphs: [GRAPH],
      worker: DYING,
      onThread: (event) => events.push(event),
    });
    t.teardown(() => pool.close());
    let idle = 0;
    pool.onIdle(() => idle++);
    await t.rejects(pool.run(batch('a', 1, first)), { code: 'engine-failed' });
    t.equal((await pool.run(batch('a'))).length, 3, 'the other thread goes on');
    await until(() => pool.alive === 2);
    t.same(events, ['died', 'replaced']);
    t.equal(pool.idle, 2);
    t.ok(idle >= 2, 'the scheduler hears of the new thread');
  });
}

t.test('a replacement that cannot start is tried again, not in a loop', async (t) => {
  const refuse = join(temporaryFolder(t), 'refuse');
  const events: string[] = [];
  const pool = await ThreadPool.start({
    threads: 1,
    onnxThreads: 1,
    provider: 'cpu',
    graphs: [{ ...GRAPH, path: `/refuse${refuse}` }],
    worker: DYING,
    onThread: (event, message) => events.push(`${event}: ${message}`),
  });
  t.teardown(() => pool.close());
  writeFileSync(refuse, '');
  await t.rejects(pool.run(batch('a', 1, 13)), { code: 'engine-failed' });
  await until(() => events.length === 2);
  t.match(events[1], 'replacement-failed: told not to start');
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(events.length, 2, 'the next try is half a second away');
  t.equal(pool.alive, 0);
});

t.test('onnxruntime sends and stores no usage reports', async (t) => {
  t.equal(process.env.ORT_DISABLE_TELEMETRY, '1');
  t.same(reports(), REPORTS_BEFORE);
});

t.test('the allocator is recognised from the memory map', (t) => {
  const maps = join(temporaryFolder(t), 'maps');
  writeFileSync(maps, '7f00-7f01 r-xp 00000000 fe:01 1 /usr/lib/x86_64-linux-gnu/libjemalloc.so.2\n');
  t.equal(hasJemalloc(maps), true);
  writeFileSync(maps, '7f00-7f01 r-xp 00000000 fe:01 1 /usr/lib/libc.so.6\n');
  t.equal(hasJemalloc(maps), false);
  t.equal(hasJemalloc('/nowhere'), undefined, 'as on macOS');
  t.end();
});
