/** What depends on the device, with the whole service on a fake runtime that reports a GPU. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { Family } from '../src/family/instance.js';
import { models } from '../src/http/schemas.js';
import type { Repository } from '../src/repository.js';
import { BATCH_SIZES } from '../src/runtime/batch-sizes.js';
import { classify, picture, readyApp, temporaryFolder, tinyFamilies } from './support/app.js';
import type { FakeRuntime } from './support/fake-runtime.js';

const ENVIRONMENT = {
  EXECUTION_PROVIDER: 'cuda',
  MODELS_DIR: fileURLToPath(new URL('fixtures/twins', import.meta.url)),
};

/** A CACHE_DIR of its own makes a start measure its instances, and so run them. */
const measuring = (t: Test) => ({ CACHE_DIR: temporaryFolder(t) });

t.test('/models and the metrics have batch sizes of up to 64, and there is no int8 instance', async (t) => {
  const { url } = await readyApp(t, ENVIRONMENT);
  const [tiny] = models.parse(await (await fetch(`${url}/models`)).json()).models;
  t.equal(tiny?.device, 'cuda');
  for (const { id, precision, latencyMs } of tiny?.instances ?? []) {
    t.equal(precision, 'float32', id);
    t.same(Object.keys(latencyMs).map(Number), BATCH_SIZES.cuda, id);
  }
  t.equal((await classify(url, await picture())).status, 200);
  t.match(await (await fetch(`${url}/metrics`)).text(), /dimmer_batch_size_pictures_bucket\{le="64",.*\} 1/);
  const refused = await classify(url, await picture(), {}, '?instance=full-i8');
  t.equal(refused.status, 404);
  t.match(await refused.json(), { type: /unknown-instance/, detail: /full-i8, but int8 instances are for CPUs/ });
});

t.test('before the service is ready every resident instance has run at every batch size', async (t) => {
  const { app, runtime } = await readyApp(t, { ...ENVIRONMENT, ...measuring(t) });
  isWarm(t, app.state.service.catalog.family('tiny').family, runtime);
});

t.test('a family that is added in service has no int8 instance, and has run at every batch size', async (t) => {
  const models = tinyFamilies(t, ['a']);
  const { app, runtime, url } = await readyApp(t, { ...ENVIRONMENT, ...measuring(t), MODELS_DIR: models });
  cpSync(join(ENVIRONMENT.MODELS_DIR, 'tiny'), join(models, 'tiny'), { recursive: true });
  await (app.state.repository as Repository).load('tiny');
  const { family } = app.state.service.catalog.family('tiny');
  t.notOk(family.instances.some((i) => i.precision === 'int8'));
  isWarm(t, family, runtime);
  const refused = await classify(url, await picture(), {}, '?model=tiny&instance=full-i8');
  t.match(await refused.json(), { detail: /full-i8, but int8 instances are for CPUs/ });
});

/** Resident instances have run at every batch size, the others only at those that are measured. */
function isWarm(t: Test, family: Family, runtime: FakeRuntime): void {
  const bytes = family.height * family.width * 3;
  for (const { key } of family.instances) {
    const ran = (size: number) => runtime.onEvery.includes(`${key} x ${size} of ${bytes} bytes`);
    t.same(BATCH_SIZES.cuda.filter(ran), runtime.keeps(key) ? BATCH_SIZES.cuda : [1, 64], key);
  }
  t.ok(
    family.instances.some(({ key }) => !runtime.keeps(key)),
    'the family has both kinds',
  );
}

t.test('on a CPU a start runs only the batch sizes that it measures', async (t) => {
  const { runtime } = await readyApp(t, measuring(t));
  t.same([...new Set(runtime.onEvery.map((run) => run.split(' ')[2]))].sort(), ['1', '8']);
});
