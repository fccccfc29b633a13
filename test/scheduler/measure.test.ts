import { join } from 'node:path';
import t from 'tap';
import { loadFamily } from '../../src/family/load.js';
import { BATCH_SIZES } from '../../src/policy/picture.js';
import type { Batch } from '../../src/runtime/runtime.js';
import { LatencyCache } from '../../src/scheduler/cache.js';
import type { Clock } from '../../src/scheduler/clock.js';
import { ENOUGH_FOR_QUANTILE } from '../../src/scheduler/latency.js';
import { measureLatency } from '../../src/scheduler/measure.js';
import { FAMILIES, temporaryFolder } from '../support/app.js';
import { FakeRuntime } from '../support/fake-runtime.js';

const LAYOUT = {
  device: 'cpu',
  engineThreads: 1,
  onnxThreads: 1,
  onnxruntime: '0',
  allocator: 'none',
  families: ['tiny@1'],
};

/**
 * One thread, on which a run takes 5 ms and 1 ms for each picture, and 2 ms less right after one of the same; the first
 * one of a batch size takes twice as long.
 */
class CachingRuntime extends FakeRuntime {
  nowMs = 0;
  #last = '';
  readonly #seen = new Set<string>();
  readonly #slowness: number;

  constructor(slowness = 1) {
    super();
    this.#slowness = slowness;
  }

  readonly clock: Clock = { now: () => this.nowMs, after: () => () => {} };

  override async onEveryThread(work: (run: (batch: Batch) => Promise<Float32Array>) => Promise<void>): Promise<void> {
    await work(async ({ key, size }) => {
      const kind = `${key} ${size}`;
      const first = size > 1 && !this.#seen.has(kind) ? 2 : 1;
      this.#seen.add(kind);
      this.nowMs += this.#slowness * first * (5 + size - (key === this.#last ? 2 : 0));
      this.#last = key;
      return new Float32Array(size * this.classes);
    });
  }
}

t.test(
  'each run follows one of another instance, and what the same right after it takes less is told apart',
  async (t) => {
    const family = await loadFamily(join(FAMILIES, 'tiny'));
    t.ok(family.instances.length > 1);
    const runtime = new CachingRuntime();
    const table = await measureLatency(runtime, [family], runtime.clock, () => t.fail('there was time'));
    const cache = new LatencyCache(temporaryFolder(t), LAYOUT);
    cache.write(table);
    for (const found of [table, cache.read([family], runtime.clock)]) {
      for (const { key } of family.instances) {
        t.equal(found?.cost(key, 1), 6);
        t.equal(found?.cost(key, 8), 13);
        t.equal(found?.againMs(key), 2);
      }
    }
  },
);

t.test('there are enough runs of each for a high quantile to leave one out', async (t) => {
  const family = await loadFamily(join(FAMILIES, 'tiny'));
  const runtime = new CachingRuntime();
  const samples = (await measureLatency(runtime, [family], runtime.clock)).samples();
  for (const { key } of family.instances) {
    for (const size of BATCH_SIZES) t.ok((samples[key]?.[size]?.length ?? 0) >= ENOUGH_FOR_QUANTILE);
  }
});

t.test('however slow the host is, time is over soon and every instance is known at every size', async (t) => {
  const family = await loadFamily(join(FAMILIES, 'tiny'));
  const once = family.instances.length * BATCH_SIZES.reduce((sum, size) => sum + 5 + size, 0);
  for (const slowness of [1000, 100_000]) {
    const runtime = new CachingRuntime(slowness);
    let cut = 0;
    const table = await measureLatency(runtime, [family], runtime.clock, () => cut++);
    const longest = Math.max(15_000 + 20 * slowness, 5 * once * slowness);
    t.ok(runtime.nowMs <= longest, `${runtime.nowMs} ms at ${slowness}`);
    t.equal(cut, 1, 'and it is told');
    for (const { key } of family.instances) {
      for (const size of BATCH_SIZES) t.ok(table.has(key, size), `${key} x ${size} at ${slowness}`);
      t.equal(table.cost(key, 1), 6 * slowness, 'several runs of one picture, whatever the time');
      t.ok(table.cost(key, 8) > table.cost(key, 1));
    }
  }
});
