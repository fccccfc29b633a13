/** Which instances the whole service serves on a noisy host. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Batch } from '../src/runtime/runtime.js';
import { createApp } from './support/app.js';
import { FakeClock } from './support/fake-clock.js';
import { FakeRuntime } from './support/fake-runtime.js';

const MODELS_DIR = fileURLToPath(new URL('fixtures/twins', import.meta.url));

/** Which runs of each are slow: enough for a high quantile to see them. */
const HELD = [5, 7];

/** Int8 is three times as fast, but for two runs of each instance, which are slower than all of its float32 one. */
class NoisyRuntime extends FakeRuntime {
  readonly #runs = new Map<string, number>();

  constructor(readonly clock: FakeClock) {
    super({ held: false });
  }

  override async onEveryThread(work: (run: (batch: Batch) => Promise<Float32Array>) => Promise<void>): Promise<void> {
    await work(async ({ key, size }) => {
      const run = `${key} ${size}`;
      const count = (this.#runs.get(run) ?? 0) + 1;
      this.#runs.set(run, count);
      const usualMs = key.endsWith('-i8') ? 1 : 3;
      await this.clock.pass(HELD.includes(count) && usualMs === 1 ? 20 : usualMs);
      return new Float32Array(size * this.classes);
    });
  }
}

t.test('a slow run while the host was measured keeps no instance off the frontier', async (t) => {
  const clock = new FakeClock();
  const environment = { MODELS_DIR, SERVE_INSTANCES: 'frontier' };
  const { app } = await createApp(t, environment, { clock, startRuntime: async () => new NoisyRuntime(clock) });
  await app.start();
  const served = app.state.service.catalog.family(undefined).instances.map((i) => i.id);
  // More accurate, as many FLOPs, and mostly three times as fast.
  t.ok(served.includes('p01-r500-i8'));
  t.notOk(served.includes('p01-r500'));
});
