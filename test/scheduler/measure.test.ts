import { join } from 'node:path';
import t from 'tap';
import { loadFamily } from '../../src/family/load.js';
import type { Batch } from '../../src/runtime/runtime.js';
import { LatencyCache } from '../../src/scheduler/cache.js';
import type { Clock } from '../../src/scheduler/clock.js';
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

/** One thread, on which a run takes 5 ms and 1 ms for each picture, and 2 ms less right after one of the same. */
class CachingRuntime extends FakeRuntime {
  nowMs = 0;
  #last = '';

  override async onEveryThread(work: (run: (batch: Batch) => Promise<Float32Array>) => Promise<void>): Promise<void> {
    await work(async ({ key, size }) => {
      this.nowMs += 5 + size - (key === this.#last ? 2 : 0);
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
    const clock: Clock = { now: () => runtime.nowMs, after: () => () => {} };
    const table = await measureLatency(runtime, [family], clock);
    const cache = new LatencyCache(temporaryFolder(t), LAYOUT);
    cache.write(table);
    for (const found of [table, cache.read([family], clock)]) {
      for (const { key } of family.instances) {
        t.equal(found?.cost(key, 1), 6);
        t.equal(found?.cost(key, 8), 13);
        t.equal(found?.againMs(key), 2);
      }
    }
  },
);
