import t from 'tap';
import { classify, picture, readyApp, tinyFamilies } from './support/app.js';

t.test('ready means warm: pictures went through the whole service, and nothing of it is left', async (t) => {
  const { url, runtime, app } = await readyApp(t, { REHEARSAL_REQUESTS: '40', QUOTA_PER_MINUTE: '1' });
  const rehearsed = runtime.history.length;
  t.ok(rehearsed > 0 && rehearsed <= 40, `${rehearsed} batches ran`);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  t.match(metrics, '# TYPE dimmer_requests_total counter');
  t.notMatch(metrics, /dimmer_requests_total\{/);
  t.equal(app.state.service.scheduler.queued, 0);
  t.equal(runtime.listening, 1, 'its scheduler listens no longer');
  t.equal((await classify(url, await picture())).status, 200, 'the quota is untouched');
  t.equal(runtime.history.length, rehearsed + 1, 'threads that fall idle wake the real scheduler');
});

t.test('of several families the cheapest instance is rehearsed', async (t) => {
  const models = tinyFamilies(t, ['one', 'two']);
  const { runtime, app } = await readyApp(t, { REHEARSAL_REQUESTS: '30', MODELS_DIR: models });
  const all = app.state.service.catalog.families.flatMap((f) => f.instances);
  const least = Math.min(...all.map((i) => i.flops));
  const keys = new Set(runtime.history.map(({ key }) => key));
  t.equal(keys.size, 1);
  t.equal(all.find((i) => keys.has(i.key))?.flops, least);
});

t.test('a rehearsal in which all requests are refused does not keep the service from being ready', async (t) => {
  const { url, runtime } = await readyApp(t, { REHEARSAL_REQUESTS: '3', MAX_IMAGE_BYTES: '1' });
  t.equal(runtime.history.length, 0, 'all were refused: too large');
  t.equal((await fetch(`${url}/readyz`)).status, 200);
});

t.test('the rehearsal does not register the process metrics a second time', async (t) => {
  const observed: unknown[] = [];
  const { observe } = PerformanceObserver.prototype;
  t.teardown(() => Object.assign(PerformanceObserver.prototype, { observe }));
  PerformanceObserver.prototype.observe = function (options) {
    observed.push('entryTypes' in options ? options.entryTypes : options.type);
    return observe.call(this, options);
  };
  await readyApp(t, { REHEARSAL_REQUESTS: '3' });
  t.same(observed, [['gc']], 'collections of garbage, for /metrics');
});
