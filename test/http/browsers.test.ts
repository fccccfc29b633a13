/** Headers for browsers: CORS and content security policy. */
import t from 'tap';
import { readConfig } from '../../src/config.js';
import { classify, createApp, picture, readyApp } from '../support/app.js';
import { converse } from '../support/raw.js';

const MINE = 'https://app.example.com';
const OTHER = 'https://evil.example.com';

t.test('without CORS_ORIGINS no other origin may read answers', async (t) => {
  const { url } = await readyApp(t);
  const headers = { Origin: MINE, 'Access-Control-Request-Method': 'POST' };
  const preflight = await fetch(`${url}/classify`, { method: 'OPTIONS', headers });
  t.equal(preflight.status, 405);
  for (const response of [preflight, await fetch(`${url}/models`, { headers: { Origin: MINE } })]) {
    t.same(
      [...response.headers.keys()].filter((name) => name.startsWith('access-control')),
      [],
    );
  }
});

t.test('listed origins', async (t) => {
  const environment = { CORS_ORIGINS: `${MINE}, http://localhost:5173`, QUOTA_PER_MINUTE: '1' };
  const { url } = await readyApp(t, environment);
  const preflight = (origin: string, path = '/classify') =>
    fetch(`${url}${path}`, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'inference-budget, x-api-key',
      },
    });
  const allowed = await preflight(MINE);
  t.equal(allowed.status, 204);
  t.equal(allowed.headers.get('access-control-allow-origin'), MINE);
  t.equal(allowed.headers.get('access-control-allow-methods'), 'GET, HEAD, POST');
  t.equal(
    allowed.headers.get('access-control-allow-headers'),
    'Inference-Budget, Inference-Header-Content-Length, Content-Type, Content-Encoding, X-Api-Key, Authorization, X-Request-Id',
  );
  t.ok(allowed.headers.get('x-request-id'));
  t.ok(Number(allowed.headers.get('access-control-max-age')) > 0);
  t.equal(
    (await preflight('http://localhost:5173')).headers.get('access-control-allow-origin'),
    'http://localhost:5173',
  );
  for (const other of [OTHER, `${MINE}.evil.com`, `${MINE}:8443`, 'http://app.example.com', 'null']) {
    const refused = await preflight(other);
    t.equal(refused.headers.get('access-control-allow-origin'), null, other);
    t.equal(refused.headers.get('vary'), 'Origin', 'a cache must not give it to others');
  }

  const png = await picture();
  const answers = {
    ok: await classify(url, png, { Origin: MINE }),
    quota: await classify(url, png, { Origin: MINE }),
    missing: await fetch(`${url}/nothing`, { headers: { Origin: MINE } }),
    method: await fetch(`${url}/classify`, { headers: { Origin: MINE } }),
    path: await fetch(`${url}/%zz`, { headers: { Origin: MINE } }),
    docs: await fetch(`${url}/docs`, { headers: { Origin: MINE } }),
  };
  t.same(
    Object.values(answers).map((a) => a.status),
    [200, 429, 404, 405, 400, 200],
  );
  for (const [name, { headers }] of Object.entries(answers)) {
    t.equal(headers.get('access-control-allow-origin'), MINE, name);
    t.match(headers.get('vary'), 'Origin', name);
    const exposed = headers.get('access-control-expose-headers')?.split(', ') ?? [];
    for (const header of [
      'Server-Timing',
      'Inference-Cost',
      'X-Request-Id',
      'Retry-After',
      'RateLimit',
      'RateLimit-Policy',
    ]) {
      t.ok(exposed.includes(header), `${name}: ${header}`);
    }
    t.equal(headers.get('access-control-allow-credentials'), null);
  }
  const expectation = `GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: ${MINE}\r\nExpect: x\r\n\r\n`;
  const { answers: raw } = await converse(url, [expectation], { most: 1 });
  t.match(raw[0], { status: 417, headers: { 'access-control-allow-origin': MINE } });
  const plain = await fetch(`${url}/models`);
  t.equal(plain.headers.get('vary'), 'Origin', 'also to a request without an origin: it may be kept for one with');
  t.equal((await preflight(MINE, '/nothing')).status, 204, 'what is there is told by the request itself');
});

t.test('any origin, only if that is written', async (t) => {
  const { url } = await createApp(t, { CORS_ORIGINS: '*' });
  const { headers } = await fetch(`${url}/healthz`, { headers: { Origin: OTHER } });
  t.equal(headers.get('access-control-allow-origin'), '*');
  t.equal(headers.get('access-control-allow-credentials'), null);
});

t.test('an invalid origin ends the start', (t) => {
  const read = (text: string) => () => readConfig({ CORS_ORIGINS: text });
  for (const [text, expected] of [
    ['https://example.com/', 'expected https://example.com'],
    ['https://example.com/app', 'expected https://example.com'],
    ['https://EXAMPLE.com', 'expected https://example.com'],
    ['https://example.com:443', 'expected https://example.com'],
    ['https://me@example.com', 'expected https://example.com'],
    ['example.com', 'such as https://example.com'],
    ['https://*.example.com', 'no origin'],
    ['null', 'such as https://example.com'],
    [`${MINE},nonsense`, 'nonsense is no origin'],
  ] as const) {
    t.throws(read(text), new RegExp(`CORS_ORIGINS=[^]*${expected.replaceAll('.', '\\.')}`), text);
  }
  t.same(read(` ${MINE} ,, capacitor://localhost`)().CORS_ORIGINS, [MINE, 'capacitor://localhost']);
  t.same(read('')().CORS_ORIGINS, []);
  t.end();
});

t.test('pages have a content security policy, and nothing is guessed', async (t) => {
  const { url } = await readyApp(t);
  for (const path of [
    '/docs',
    '/docs/',
    '/',
    '/assets/app.js',
    '/samples/cat.jpg',
    '/docs/static/swagger-ui-bundle.js',
    '/docs/static/swagger-initializer.js',
  ]) {
    const { headers, status } = await fetch(`${url}${path}`, { redirect: 'manual' });
    t.ok(status < 400, path);
    const policy = headers.get('content-security-policy') ?? '';
    t.match(policy, "default-src 'none'", path);
    t.match(policy, "script-src 'self';", 'no script but from here');
    t.match(policy, "frame-ancestors 'none'");
    t.notMatch(policy, 'upgrade-insecure-requests', 'it would break the page where there is no TLS');
    t.equal(headers.get('strict-transport-security'), null);
  }
  // What a browser runs under the policy, as it would: no script in the page itself.
  const page = await (await fetch(`${url}/docs`)).text();
  const scripts = [...page.matchAll(/<script([^>]*)>([^<]*)/g)];
  t.ok(scripts.length > 0);
  for (const [, attributes, inside] of scripts) {
    t.match(attributes, /src="\//);
    t.equal(inside?.trim(), '');
  }
  const png = await picture();
  const everywhere = [
    await classify(url, png),
    await classify(url, Buffer.from('x')),
    ...(await Promise.all(
      ['/models', '/nothing', '/metrics', '/healthz', '/openapi.yaml', '/docs', '/%zz'].map((p) => fetch(`${url}${p}`)),
    )),
  ];
  for (const { headers, url: at } of everywhere) {
    t.equal(headers.get('x-content-type-options'), 'nosniff', at);
    t.ok(headers.get('x-request-id'), at);
  }
});

t.test('pages are sent whole, whatever part of them is asked for', async (t) => {
  const { url } = await createApp(t);
  for (const headers of [{ Range: 'bytes=99999999-' }, { Range: 'bytes=0-9' }, { 'If-Match': '"other"' }]) {
    const response = await fetch(`${url}/docs/static/swagger-ui.css`, { headers });
    t.equal(response.status, 200, JSON.stringify(headers));
    t.ok((await response.text()).length > 1000);
  }
});
