import t from 'tap';
import { health, models, ready } from '../../src/http/schemas.js';
import { classify, createApp, picture, readyApp } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';

t.test('health and readiness', async (t) => {
  const { url } = await readyApp(t);
  t.ok(health.safeParse(await (await fetch(`${url}/healthz`)).json()).success);
  t.ok(ready.safeParse(await (await fetch(`${url}/readyz`)).json()).success);
});

t.test('models say what there is, what it costs and how long it takes here', async (t) => {
  const { url, runtime } = await readyApp(t);
  const { models: all } = models.parse(await (await fetch(`${url}/models`)).json());
  const [tiny] = all;
  t.equal(all.length, 1);
  t.match(tiny, { name: 'tiny', default: true, device: 'cpu', input: { height: 16, width: 16 } });
  t.same(
    tiny?.instances.map((i) => i.flops),
    [...(tiny?.instances ?? [])].map((i) => i.flops).sort((a, b) => a - b),
    'cheapest first',
  );
  const full = tiny?.instances.at(-1);
  t.match(full, { id: 'full', served: true, frontier: true, share: 1 });
  t.ok((full?.latencyMs['8'] ?? 0) > 0);
  t.same(
    [...runtime.kept].sort(),
    tiny?.instances
      .filter((i) => i.served)
      .map((i) => `tiny/${i.id}`)
      .sort(),
    'only served instances stay in the engine threads',
  );
  t.same(await (await fetch(`${url}/models/tiny`)).json(), tiny);
});

t.test(
  'with little memory for networks, full stays and is chosen; any other instance can still be pinned',
  async (t) => {
    const { url, runtime } = await readyApp(t, { MAX_RESIDENT_MB: '1' });
    const { models: all } = models.parse(await (await fetch(`${url}/models`)).json());
    const instances = all.flatMap((m) => m.instances);
    t.ok(instances.length > 1);
    for (const { id, resident, served } of instances) t.same([resident, served], [id === 'full', id === 'full'], id);
    t.same([...runtime.kept], ['tiny/full']);
    const answer = await classify(url, await picture(), {}, '?instance=p01-r500');
    t.match(await answer.json(), { results: [{ model_instance: { id: 'p01-r500' } }] });
  },
);

t.test('metrics carry what the answers said', async (t) => {
  const { url } = await readyApp(t);
  await classify(url, await picture(), { 'Inference-Budget': 'cost=0.4' });
  await classify(url, await picture(), { 'Inference-Budget': 'latency=5000' });
  await classify(url, Buffer.from('x'));
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  for (const line of [
    'dimmer_requests_total{status="200",reason="ok"} 2',
    'dimmer_requests_total{status="415",reason="unsupported-media"} 1',
    'dimmer_pictures_total{model="tiny",instance="p01-r500"} 1',
    'dimmer_pictures_total{model="tiny",instance="full"} 1',
    'dimmer_promises_total{model="tiny",kept="true",strict="true"} 1',
    'dimmer_total_seconds_count{model="tiny",instance="full"} 1',
    'dimmer_queue_pictures 0',
    'dimmer_engine_threads{device="cpu"} 1',
    'dimmer_ready 1',
  ]) {
    t.ok(lines.includes(line), line);
  }
});

t.test('the description and its page', async (t) => {
  const { url } = await readyApp(t);
  t.match(await (await fetch(`${url}/openapi.yaml`)).text(), /^openapi: 3\.1\.0/);
  const docs = await fetch(`${url}/docs`);
  t.equal(docs.status, 200);
  t.match(await docs.text(), 'swagger-ui');
  t.match(await (await fetch(`${url}/docs`)).text(), '<title>dimmer: the API</title>');
});

t.test('with an admin port, metrics are there and not on the public port', async (t) => {
  // Port 0 takes any free port; the address is read back from the server.
  const { app, url } = await createApp(t, { ADMIN_PORT: '0' });
  t.equal((await fetch(`${url}/metrics`)).status, 404);
  const admin = app.adminAddress;
  t.match(await (await fetch(`${admin}/metrics`)).text(), /# TYPE dimmer_requests_total counter/);
  t.equal((await fetch(`${admin}/healthz`)).status, 200);
});

t.test('answers that do not change are made once', async (t) => {
  const clock = new FakeClock();
  const { app, url } = await readyApp(t, {}, { clock });
  const { service } = app.state;
  const { run } = service.latency;
  let asked = 0;
  service.latency.run = (...of) => {
    asked += 1;
    return run.apply(service.latency, of);
  };
  for (const path of ['/models', '/models/tiny']) {
    const get = async () => (await fetch(`${url}${path}`)).text();
    const first = await get();
    const made = asked;
    t.ok(made > 0);
    for (let n = 0; n < 5; n++) t.equal(await get(), first);
    t.equal(asked, made, `${path} within a second`);
    await clock.pass(1000);
    await get();
    t.ok(asked > made, 'and anew after it, for latencies follow what runs take');
    asked = 0;
  }
  app.state.draining = true;
  t.equal((await fetch(`${url}/models`)).status, 503, 'what was kept does not outlive the service');
});
