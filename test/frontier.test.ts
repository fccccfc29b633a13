/** The instances that the whole service serves on a host with noisy run times. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Batch, Ran } from '../src/runtime/runtime.js';
import { createApp, temporaryFolder } from './support/app.js';
import { FakeClock } from './support/fake-clock.js';
import { FakeRuntime } from './support/fake-runtime.js';

const MODELS_DIR = fileURLToPath(new URL('fixtures/twins', import.meta.url));

/** Indices of the slow runs of each instance: enough to change a high quantile. */
const HELD = [5, 7];

/**
 * Engine threads on which int8 is three times as fast, except for two runs of each instance, which are slower than
 * float32.
 */
class NoisyRuntime extends FakeRuntime {
  readonly #runs = new Map<string, number>();

  constructor(
    readonly clock: FakeClock,
    readonly int8Ms = 1,
  ) {
    super({ held: false });
  }

  override async onEveryThread(work: (run: (batch: Batch) => Promise<Ran>) => Promise<void>): Promise<void> {
    await work(async ({ key, size }) => {
      const run = `${key} ${size}`;
      const count = (this.#runs.get(run) ?? 0) + 1;
      this.#runs.set(run, count);
      const usualMs = key.endsWith('-i8') ? this.int8Ms : 3;
      await this.clock.pass(HELD.includes(count) && usualMs < 3 ? 20 : usualMs);
      return { logits: new Float32Array(size * this.classes), cpuMs: undefined };
    });
  }
}

t.test(
  'a slow run while the host was measured changes nothing of what is served, and the cache keeps it',
  async (t) => {
    const clock = new FakeClock();
    const environment = { MODELS_DIR, CACHE_DIR: temporaryFolder(t) };
    const ids = async (runtime: FakeRuntime) => {
      const { app } = await createApp(t, environment, { clock, startRuntime: async () => runtime });
      await app.start();
      return app.state.service.catalog.family(undefined).instances.map((i) => i.id);
    };
    const served = await ids(new NoisyRuntime(clock));
    t.same(served, ['full', 'full-i8', 'p01-r500-i8', 'p02-r500-i8', 'p02-r750-i8', 'p03-r750-i8']);
    t.same(await ids(new NoisyRuntime(clock, 9)), served, 'though int8 is slow now');
  },
);
