/** A CACHE_DIR that cannot be written. */
import t from 'tap';
import { classify, createApp, picture } from './support/app.js';
import { FakeRuntime } from './support/fake-runtime.js';

t.test('a cache that cannot be written costs a measurement at the next start, and nothing else', async (t) => {
  // A file is no folder for anybody, the superuser included.
  const environment = { CACHE_DIR: '/dev/null/cache' };
  const { app, url } = await createApp(t, environment, { startRuntime: async () => new FakeRuntime({ held: false }) });
  await app.start();
  t.equal((await fetch(`${url}/readyz`)).status, 200);
  t.equal((await classify(url, await picture())).status, 200);
});
