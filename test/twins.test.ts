/** int8 twins in the whole service. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Batch } from '../src/runtime/runtime.js';
import { classify, createApp, picture } from './support/app.js';
import { FakeRuntime } from './support/fake-runtime.js';

const MODELS_DIR = fileURLToPath(new URL('fixtures/twins', import.meta.url));

/** A fake engine that computes this instance wrongly, as some processors do with int8. */
class WrongRuntime extends FakeRuntime {
  constructor(readonly wrong: string) {
    super({ held: false });
  }

  override async run(batch: Batch): Promise<Float32Array> {
    const logits = await super.run(batch);
    return batch.key === this.wrong ? logits.map((v) => -v) : logits;
  }
}

async function idsOf(url: string): Promise<string[]> {
  const { models } = (await (await fetch(`${url}/models`)).json()) as { models: { instances: { id: string }[] }[] };
  return models.flatMap((m) => m.instances.map((i) => i.id));
}

t.test('an int8 instance that this processor gets wrong is not served', async (t) => {
  const runtime = new WrongRuntime('tiny/p02-r500-i8');
  const { app, url } = await createApp(t, { MODELS_DIR }, { startRuntime: async () => runtime });
  await app.start();
  const ids = await idsOf(url);
  t.notOk(ids.includes('p02-r500-i8'));
  t.ok(ids.includes('p02-r500') && ids.includes('full-i8'), 'the others are');
  const response = await classify(url, await picture(), {}, '?instance=p02-r500-i8');
  t.equal(response.status, 404);
  t.match(await response.json(), { detail: /processor of this host computes it wrongly/ });
  t.ok(runtime.kept.has('tiny/p02-r500') && !runtime.kept.has('tiny/p02-r500-i8'), 'and its session is freed');
});

t.test('with real engine threads twins answer', async (t) => {
  const { app, url } = await createApp(t, { MODELS_DIR, ENGINE_THREADS: '1' });
  await app.start();
  t.equal((await idsOf(url)).length, 14, 'none is left out here');
  const answer = (await (await classify(url, await picture(), {}, '?instance=full-i8')).json()) as {
    results: { model_instance: object; predictions: { probability: number }[] }[];
  };
  t.match(answer.results[0]?.model_instance, { id: 'full-i8', p: 0, r: 1 });
  const sum = answer.results[0]?.predictions.reduce((all, p) => all + p.probability, 0) ?? 0;
  t.ok(Math.abs(sum - 1) < 1e-3);
});

t.test('an instance that is not served can be pinned: it is loaded for its run', async (t) => {
  const { app, url } = await createApp(t, { MODELS_DIR, ENGINE_THREADS: '1' });
  await app.start();
  const { catalog } = app.state.service;
  const hidden = 'p01-r750';
  t.notOk(
    catalog.family('tiny').instances.some((i) => i.id === hidden),
    'p02-r500 has less FLOPs and more accuracy',
  );
  for (const id of [hidden, 'p03-r500', 'p03-r500-i8', hidden]) {
    const response = await classify(url, await picture(), {}, `?instance=${id}`);
    t.equal(response.status, 200);
    t.match(await response.json(), { results: [{ model_instance: { id } }] });
  }
});
