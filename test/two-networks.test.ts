/** A family of two networks in the whole service. */
import t from 'tap';
import type { z } from 'zod';
import { classification, model } from '../src/http/schemas.js';
import { classify, createApp, picture, readyApp, temporaryFolder } from './support/app.js';
import { B_FULL, twoNetworks } from './support/two-networks.js';

type Instances = z.infer<typeof model>['instances'];
const byId = (instances: Instances, id: string) => instances.find((i) => i.id === id);
const read = async (url: string) => model.parse(await (await fetch(`${url}/models/tiny`)).json());

t.test('with real engine threads instances of both networks are chosen and answer', async (t) => {
  const models = temporaryFolder(t);
  twoNetworks(models);
  const { app, url } = await createApp(t, { MODELS_DIR: models, ENGINE_THREADS: '1' });
  await app.start();
  t.equal((await fetch(`${url}/readyz`)).status, 200);
  const ask = async (budget: string, query = '') => {
    const response = await classify(url, await picture(), { 'Inference-Budget': budget }, query);
    return classification.parse(await response.json()).results[0] as z.infer<typeof classification>['results'][number];
  };
  const full = await ask('cost=1');
  const other = await ask('cost=0.8');
  t.same(full.model_instance, { id: 'full', p: 0, r: 1 }, 'which is no instance of another network');
  t.equal(full.cost.share, 1);
  t.same(other.model_instance, { id: B_FULL.id, network: 'b', p: 0, r: 1 });
  t.equal(other.cost.flops, B_FULL.flops);
  t.ok(Math.abs(other.cost.share - B_FULL.flops / full.cost.flops) < 1e-6, 'its share is of the FLOPs of full');
  t.same(other.predictions, full.predictions, 'it is a copy of full');
  t.equal((await ask('cost=0.5')).model_instance.id, 'p01-r500', 'and its own network goes on below');
  t.same((await ask('', `?instance=${B_FULL.id}`)).model_instance, other.model_instance, 'pinned');
});

t.test('/models describes the networks, and says of which one an instance is', async (t) => {
  const models = temporaryFolder(t);
  twoNetworks(models);
  const { url } = await readyApp(t, { MODELS_DIR: models });
  const { architecture, networks, instances } = await read(url);
  t.same(networks, { b: { architecture, license: 'MIT', source: 'a copy, for tests' } });
  t.match(byId(instances, B_FULL.id), { network: 'b', served: true, frontier: true });
  t.notOk('network' in (byId(instances, 'full') ?? { network: '' }));
  const { url: ofOne } = await readyApp(t);
  t.notOk('networks' in (await read(ofOne)), 'a family of one network has nothing to say');
});
