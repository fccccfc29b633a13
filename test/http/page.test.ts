/** The page at /: a fixed list of files, as they go over the wire. */
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { PAGE_FILES } from '../../src/http/page.js';
import { createApp, readyApp } from '../support/app.js';
import { converse } from '../support/raw.js';

t.test('every file has its type, and is asked for again only when it has changed', async (t) => {
  const { url } = await createApp(t); // before it is ready, too
  for (const [path, { type }] of Object.entries(PAGE_FILES)) {
    const response = await fetch(url + path, { headers: { 'Accept-Encoding': 'identity' } });
    t.equal(response.status, 200, path);
    t.equal(response.headers.get('content-type'), type);
    t.equal(response.headers.get('cache-control'), 'no-cache');
    t.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const bytes = Buffer.from(await response.arrayBuffer());
    t.ok(bytes.length > 0);
    const etag = response.headers.get('etag') ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await fetch(url + path, { headers: { 'If-None-Match': known, 'Accept-Encoding': 'identity' } });
      t.equal(again.status, 304, known);
      t.equal(again.headers.get('etag'), etag);
      t.equal(await again.text(), '');
    }
    const changed = await fetch(url + path, { headers: { 'If-None-Match': '"other"' } });
    t.equal(changed.status, 200);
  }
});

t.test('files are compressed for clients that accept it', async (t) => {
  const { url } = await createApp(t);
  const get = (path: string, encoding: string) =>
    converse(url, [`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${encoding}\r\n\r\n`], { most: 1 });
  const answer = async (path: string, encoding: string) => {
    const [first] = (await get(path, encoding)).answers;
    if (!first) throw new Error('no answer');
    return first;
  };
  const plain = await answer('/assets/app.js', 'br');
  t.equal(plain.headers['content-encoding'], undefined);
  for (const encoding of ['gzip', 'deflate, gzip;q=0.5', 'GZIP ; q=1']) {
    const zipped = await answer('/assets/app.js', encoding);
    t.equal(zipped.headers['content-encoding'], 'gzip', encoding);
    t.match(zipped.headers.vary, 'Accept-Encoding');
    t.equal(gunzipSync(Buffer.from(zipped.body, 'latin1')).toString('latin1'), plain.body);
    t.not(zipped.headers.etag, plain.headers.etag, 'other bytes, another tag');
  }
  for (const encoding of ['gzip;q=0', 'gzip; q=0.000', 'identity', 'notgzip']) {
    t.equal((await answer('/assets/app.js', encoding)).headers['content-encoding'], undefined, encoding);
  }
  t.equal((await answer('/samples/cat.jpg', 'gzip')).headers['content-encoding'], undefined, 'a JPEG is compressed');
  t.equal((await answer('/samples/cat.jpg', 'gzip')).headers.vary, undefined);
});

t.test('what a cache must tell apart is named whole', async (t) => {
  const { url } = await createApp(t, { CORS_ORIGINS: 'https://example.com' });
  const { headers } = await fetch(`${url}/assets/app.css`, { headers: { Origin: 'https://example.com' } });
  t.equal(headers.get('vary'), 'Origin, Accept-Encoding');
  t.equal(headers.get('access-control-allow-origin'), 'https://example.com');
});

t.test('HEAD says what GET would, other methods are refused', async (t) => {
  const { url } = await createApp(t);
  for (const path of Object.keys(PAGE_FILES)) {
    const [get, head] = [await fetch(url + path), await fetch(url + path, { method: 'HEAD' })];
    t.equal(head.status, 200);
    for (const name of ['content-type', 'etag', 'content-length', 'content-security-policy']) {
      t.equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`);
    }
    t.equal(await head.text(), '');
    await get.arrayBuffer();
    const post = await fetch(url + path, { method: 'POST', body: 'x' });
    t.equal(post.status, 405);
    t.equal(post.headers.get('allow'), 'GET, HEAD');
  }
});

t.test('other paths are not found, and no path reaches the file system', async (t) => {
  const { url } = await createApp(t);
  for (const path of [
    '/index.html',
    '/assets/',
    '/assets/app.js.map',
    '/assets/../../package.json',
    '/assets/..%2f..%2fpackage.json',
    '/samples/..%2FREADME.md',
    '/samples/%2e%2e/README.md',
    '/samples/cat.jpg%00.png',
    '/samples//cat.jpg',
    '//etc/passwd',
    '/web/built/index.html',
    '/assets/app.js/',
    '/favicon.ico',
  ]) {
    const { answers } = await converse(url, [`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`], { most: 1 });
    t.equal(answers[0]?.status, 404, path);
    t.equal(answers[0]?.headers['content-type'], 'application/problem+json', path);
    t.notMatch(answers[0]?.body, /node:|ENOENT/);
    t.notMatch(answers[0]?.body, process.cwd(), 'nothing of where it lies');
  }
});

t.test('its policy is stricter than that of the API pages', async (t) => {
  const { url } = await createApp(t);
  const policy = async (path: string) => (await fetch(url + path)).headers.get('content-security-policy') ?? '';
  const page = await policy('/');
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "require-trusted-types-for 'script'",
  ]) {
    t.ok(page.split(';').includes(part), part);
  }
  t.notMatch(page, /unsafe|data:|http:|\*/);
  t.match(await policy('/docs'), "style-src 'self' 'unsafe-inline'", 'swagger-ui needs it');
});

t.test('PLAYGROUND=off: / leads to the API, and nothing else of the page is there', async (t) => {
  const { url } = await readyApp(t, { PLAYGROUND: 'off' });
  const home = await fetch(url, { redirect: 'manual' });
  t.equal(home.status, 302);
  t.equal(home.headers.get('location'), '/docs');
  for (const path of ['/live', ...Object.keys(PAGE_FILES).filter((p) => p !== '/')]) {
    t.equal((await fetch(url + path)).status, 404, path);
  }
});
