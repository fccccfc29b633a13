/** The log of the real process, at its most detailed level, contains no secret of a client or of the configuration. */
import t from 'tap';
import { picture } from '../support/app.js';
import { readyAt, start } from '../support/process.js';
import { converse } from '../support/raw.js';

const KEY = 'configured-secret-key';

t.test('at LOG_LEVEL=trace the log contains no secret', async (t) => {
  const service = start(t, {
    REHEARSAL_REQUESTS: '0',
    LOG_LEVEL: 'trace',
    API_KEYS: KEY,
    REQUIRE_API_KEY: 'true',
    QUOTA_PER_MINUTE: '1000',
    CORS_ORIGINS: '*',
  });
  const url = await readyAt(service);

  let secrets = 0;
  const secret = () => `s3cr3t-${secrets++}-value`;
  const headers = () => ({
    'X-Api-Key': KEY,
    Authorization: `Bearer ${secret()}`,
    'Proxy-Authorization': secret(),
    Cookie: `session=${secret()}`,
    'X-Forwarded-For': secret(),
    'User-Agent': secret(),
    Referer: `https://example.com/${secret()}`,
    'X-Auth-Token': secret(),
  });
  const png = await picture();
  const form = (field: boolean) => {
    const parts = new FormData();
    parts.append(field ? secret() : 'image', new Blob([field ? secret() : png]), `${secret()}.png`);
    return parts;
  };
  const path = (query = '') => `${url}/classify?top=1${query}`;
  for (const body of [png, Buffer.from(secret()), form(false), form(true)]) {
    await (await fetch(path(), { method: 'POST', headers: headers(), body })).text();
  }
  for (const key of [secret(), '']) {
    const wrong = { ...headers(), 'X-Api-Key': key };
    t.equal((await fetch(path(), { method: 'POST', headers: wrong, body: png })).status, 401);
  }
  await (await fetch(`${url}/models?token=${secret()}`, { headers: headers() })).text();
  await (await fetch(`${url}/nothing?token=${secret()}`, { headers: headers() })).text();
  const lines = Object.entries(headers())
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  for (const bytes of [
    `GET /healthz HTTP/1.1\r\nHost: x\r\n${lines}X : ${secret()}\r\n\r\n`,
    `GET /healthz HTTP/1.1\r\n${lines}\r\n`,
    `POST /classify HTTP/1.1\r\nHost: x\r\n${lines}Transfer-Encoding: chunked\r\n\r\nzz${secret()}\r\n`,
    `CONNECT ${secret()}:1 HTTP/1.1\r\nHost: x\r\n${lines}\r\n`,
    `GET /healthz HTTP/1.1\r\nHost: x\r\n${lines}X: ${'a'.repeat(20_000)}\r\n\r\n`,
  ]) {
    await converse(url, [bytes], { most: 1 });
  }
  service.child.kill('SIGTERM');
  await new Promise((resolve) => service.child.once('close', resolve));
  const log = service.text();
  t.match(log, /"msg":"closed"/, 'the whole log');
  t.match(log, /"msg":"answered"/);
  t.match(log, /"key":"API_KEYS\[1\]"/, 'whose key it was is no secret');
  const found = [...log.matchAll(/s3cr3t-\d+-value/g)].map((m) => log.slice(Math.max(0, m.index - 200), m.index + 20));
  // The name of a part is in the answer's detail, so that its sender can find it, and so in the log.
  t.same(
    found.filter((text) => !/"detail":"part \d+ of the form is named \\"$/.test(text.slice(0, -20))),
    [],
  );
  t.notMatch(log, KEY);
});
