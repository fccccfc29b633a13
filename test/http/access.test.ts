/** REQUIRE_API_KEY: every route of every port wants a key, but those that are open. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Access, MOST_LABELS } from '../../src/access/access.js';
import { CHECK_MS } from '../../src/access/keys-file.js';
import { App } from '../../src/app.js';
import { readConfig } from '../../src/config.js';
import { PAGE_FILES } from '../../src/http/page.js';
import { problem as problemSchema } from '../../src/http/schemas.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { classify, picture, readyApp, temporaryFolder, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { converse } from '../support/raw.js';
import { routesOf } from '../support/routes.js';

const KEY = 'a-key-0123456789';
const OTHER = 'other-key-0123456';
const lineOf = (name: string, key: string) => `${name}:${createHash('sha256').update(key).digest('hex')}\n`;

function fileOfKeys(t: Test, text: string): string {
  const path = join(temporaryFolder(t), 'keys');
  writeFileSync(path, text);
  return path;
}

/** Asserts that an answer is a complete 401; returns the problem. */
async function isUnauthorized(t: Test, response: Response, what: string) {
  t.equal(response.status, 401, what);
  t.match(response.headers.get('www-authenticate'), /^Bearer realm="dimmer"/, what);
  t.equal(response.headers.get('content-type'), 'application/problem+json');
  const problem = problemSchema.parse(await response.json());
  t.equal(problem.type, 'urn:dimmer:problem:unauthorized');
  return problem;
}

t.test('without a key only the open routes answer, on every port', async (t) => {
  const { app } = await readyApp(t, { API_KEYS: KEY, REQUIRE_API_KEY: 'true', ADMIN_PORT: '0' });
  const open = new Set(['/healthz', '/readyz', ...Object.keys(PAGE_FILES)]);
  const answeredOpenly = new Set<string>();
  t.equal(app.servers.length, 2);
  for (const server of app.servers) {
    const routes = routesOf(server);
    t.ok(routes.some(({ url }) => url === '/metrics') || routes.some(({ url }) => url === '/classify'));
    for (const { method, url } of routes) {
      // Fastify's own way in, which all ports share: Node's client cannot send every method.
      const ask = async (headers: Record<string, string>) => {
        const path = url.replace(/:\w+/g, 'x').replace('*', 'x');
        const {
          statusCode,
          headers: answered,
          body,
        } = await server.inject({ method: method as 'GET', url: path, headers });
        return { status: statusCode, challenge: answered['www-authenticate'], body };
      };
      for (const headers of [
        {},
        { 'x-api-key': OTHER },
        { authorization: `Bearer ${OTHER}` },
        { authorization: 'Basic eDp4' },
      ]) {
        const { status, challenge } = await ask(headers as Record<string, string>);
        const what = `${method} ${url} ${JSON.stringify(headers)}`;
        if (open.has(url) && (method === 'GET' || method === 'HEAD')) {
          answeredOpenly.add(url);
          t.equal(status, 200, what);
        } else {
          t.equal(status, 401, what);
          t.ok(challenge, what);
        }
      }
    }
  }
  t.same([...answeredOpenly].sort(), [...open].sort(), 'and every open one is there');
});

t.test('neither do paths that are not there, however they are written', async (t) => {
  const { app, url } = await readyApp(t, { API_KEYS: KEY, REQUIRE_API_KEY: 'true' });
  for (const path of [
    '/nothing',
    '/v3',
    '//metrics',
    '/metrics/',
    '/Metrics',
    '/%6detrics',
    '/healthz/../metrics',
    '/samples/',
    '/assets/x.js',
  ]) {
    const { answers } = await converse(url, [`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`], { most: 1 });
    t.equal(answers[0]?.status, 401, path);
  }
  t.equal((await converse(url, ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n'], { most: 1 })).answers[0]?.status, 401);
  const { answers } = await converse(url, ['GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n'], { most: 1 });
  t.equal(answers[0]?.status, 401, 'the absolute form');
  const head = 'POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n';
  const expecting = await converse(url, [head], { most: 1 });
  t.equal(expecting.answers[0]?.status, 401, 'no body is asked for');
  t.equal(app.state.inFlight.size, 0);
});

t.test('a key in either header opens everything', async (t) => {
  const { app, url } = await readyApp(t, { API_KEYS: KEY, REQUIRE_API_KEY: 'true', ADMIN_PORT: '0' });
  const png = await picture();
  const good: Record<string, string>[] = [
    { 'X-Api-Key': KEY },
    { Authorization: `Bearer ${KEY}` },
    { Authorization: `bearer ${KEY}` },
    { 'X-Api-Key': 'of a proxy', Authorization: `Bearer ${KEY}` },
    { 'X-Api-Key': KEY, Authorization: 'Basic eDp4' },
  ];
  for (const headers of good) {
    t.equal((await classify(url, png, headers)).status, 200, JSON.stringify(headers));
    for (const path of ['/models', '/models/tiny', '/docs', '/openapi.yaml']) {
      t.equal((await fetch(`${url}${path}`, { headers })).status, 200, path);
    }
    t.equal((await fetch(`${app.adminAddress}/metrics`, { headers })).status, 200);
    t.equal((await fetch(`${url}/nothing`, { headers })).status, 404, 'and what is not there is not there');
  }
  const none = await isUnauthorized(t, await classify(url, png), 'none');
  t.match(none.detail, 'no API key');
  const wrong = await classify(url, png, { 'X-Api-Key': OTHER });
  t.equal(wrong.headers.get('www-authenticate'), 'Bearer realm="dimmer", error="invalid_token"');
  t.match((await isUnauthorized(t, wrong, 'wrong')).detail, 'not known');
  t.match(
    await app.state.metrics.registry.metrics(),
    /dimmer_requests_total\{status="401",reason="unauthorized"\} 2/,
    'and they are counted',
  );
});

t.test('a preflight needs no key, as browsers send none with it', async (t) => {
  const { url } = await readyApp(t, { API_KEYS: KEY, REQUIRE_API_KEY: 'true', CORS_ORIGINS: 'https://example.com' });
  const headers = { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' };
  const preflight = await fetch(`${url}/classify`, { method: 'OPTIONS', headers });
  t.equal(preflight.status, 204);
  t.match(preflight.headers.get('access-control-allow-headers'), 'Authorization');
  const refused = await fetch(`${url}/models`, { headers });
  t.equal(refused.status, 401);
  t.equal(refused.headers.get('access-control-allow-origin'), 'https://example.com', 'the page may read why');
});

t.test('keys of a file: taken over when they change', async (t) => {
  const path = fileOfKeys(t, lineOf('alice', KEY));
  const clock = new FakeClock();
  const { app, url } = await readyApp(t, { API_KEYS_FILE: path, REQUIRE_API_KEY: 'true' }, { clock });
  const png = await picture();
  const status = async (key: string) => (await classify(url, png, { 'X-Api-Key': key })).status;
  t.same([await status(KEY), await status(OTHER)], [200, 401]);
  writeFileSync(path, lineOf('bob', OTHER));
  await clock.pass(CHECK_MS);
  await until(() => app.state.access.nameOf(() => OTHER) === 'bob');
  t.same([await status(KEY), await status(OTHER)], [401, 200], 'and a key that was taken out is no longer good');
});

t.test('metrics by the name of the key are bounded, and forget names that are gone', async (t) => {
  const many = Array.from({ length: MOST_LABELS + 5 }, (_, n) => lineOf(`customer-${n}`, `key-of-customer-${n}`));
  const path = fileOfKeys(t, many.join(''));
  const metrics = createMetrics({ ofProcess: false });
  const clock = new FakeClock();
  const config = readConfig({ API_KEYS_FILE: path });
  const access = await Access.open(config, clock, metrics, createLogger('silent'));
  t.teardown(() => access.close());
  for (let n = 0; n < many.length; n++) {
    access.begin({ key: `customer-${n}` }, () => {});
    access.charge({ key: `customer-${n}` }, 1000);
  }
  access.begin({ address: '127.0.0.1' }, () => {});
  const series = async (name: string) =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(`dimmer_client_${name}_total{`));
  t.equal((await series('requests')).length, MOST_LABELS + 1);
  t.ok((await series('requests')).includes('dimmer_client_requests_total{key="(other)"} 5'), 'the rest shares one');
  t.ok((await series('flops')).includes('dimmer_client_flops_total{key="customer-0"} 1000'));
  writeFileSync(path, lineOf('customer-1', KEY) + lineOf('new', OTHER));
  await clock.pass(CHECK_MS);
  await until(() => access.nameOf(() => OTHER) === 'new');
  t.same(await series('requests'), [
    'dimmer_client_requests_total{key="customer-1"} 1',
    'dimmer_client_requests_total{key="(other)"} 5',
  ]);
});

t.test('a call of gRPC brings its key as metadata', async (t) => {
  const config = readConfig({ API_KEYS: KEY, REQUIRE_API_KEY: 'true' });
  const access = new Access(config, new FakeClock(), createMetrics({ ofProcess: false }));
  const call = (metadata: Record<string, string | Buffer>) =>
    access.admitCall({ get: (name) => (name in metadata ? [metadata[name] as string] : []) });
  t.equal(call({ 'x-api-key': KEY }), 'API_KEYS[1]');
  t.equal(call({ authorization: Buffer.from(`Bearer ${KEY}`) }), 'API_KEYS[1]');
  for (const metadata of [{}, { 'x-api-key': OTHER }, { authorization: KEY }]) {
    t.throws(() => call(metadata as Record<string, string>), { code: 'unauthorized' });
  }
});

t.test('without REQUIRE_API_KEY a key is not needed, and an unknown one counts as none', async (t) => {
  const { url } = await readyApp(t, { API_KEYS: KEY });
  const png = await picture();
  const names: Record<string, string>[] = [{}, { 'X-Api-Key': KEY }, { 'X-Api-Key': OTHER }];
  for (const headers of names) t.equal((await classify(url, png, headers)).status, 200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  t.match(metrics, 'dimmer_client_requests_total{key="API_KEYS[1]"} 1');
});

t.test('required and no key at all, or a file that cannot be used: no start', async (t) => {
  t.throws(() => readConfig({ REQUIRE_API_KEY: 'true' }), { name: 'StartError', message: /REQUIRE_API_KEY=true/ });
  t.throws(() => readConfig({ REQUIRE_API_KEY: 'yes' }), { name: 'StartError', message: /REQUIRE_API_KEY=yes/ });
  t.equal(readConfig({}).REQUIRE_API_KEY, false);
  for (const text of ['', '# none\n', 'alice:secret-secret-secret']) {
    const config = readConfig({ API_KEYS_FILE: fileOfKeys(t, text), API_KEYS: KEY });
    const made = App.create(config, createLogger('silent'));
    const { message } = await made.then(
      () => new Error('it started'),
      (error: Error) => error,
    );
    t.match(message, /API_KEYS_FILE/, JSON.stringify(text));
    t.notMatch(message, 'secret-secret');
  }
});
