/** GET /live: server-sent events with one sample a second for all watchers. */
import { PassThrough } from 'node:stream';
import t from 'tap';
import { MAX_WATCHERS, Watchers } from '../../src/http/live.js';
import { offersLoad } from '../../src/http/routes/live.js';
import { liveHello, liveSample } from '../../src/http/schemas.js';
import { Live } from '../../src/telemetry/live.js';
import { classify, createApp, picture, readyApp, until } from '../support/app.js';

const HELLO = { everyMs: 1000, loadButton: false, engineThreads: 1 };

/** Connects to /live; returns the text received so far, and a way to disconnect. */
async function watch(url: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await fetch(`${url}/live`, { headers, signal: abort.signal });
  const seen = { response, text: '', ended: false, leave: () => abort.abort() };
  void (async () => {
    try {
      for await (const part of response.body ?? []) seen.text += Buffer.from(part).toString();
    } catch {
      // it has left
    }
    seen.ended = true;
  })();
  return seen;
}

const dataOf = (text: string, name: string): unknown[] =>
  [...text.matchAll(new RegExp(`event: ${name}\\ndata: (.*)\\n\\n`, 'g'))].map((m) => JSON.parse(m[1] as string));

t.test('a sample counts answers and refusals', async (t) => {
  const { app, url } = await readyApp(t);
  const one = await watch(url);
  t.equal(one.response.headers.get('content-type'), 'text/event-stream');
  t.equal(one.response.headers.get('cache-control'), 'no-store');
  const two = await watch(url);
  t.equal(app.state.watchers.size, 2);
  const png = await picture();
  await classify(url, png, { 'Inference-Budget': 'latency=5000' });
  await classify(url, png, { 'Inference-Budget': 'cost=0.4' });
  await classify(url, Buffer.from('x'), { 'Inference-Budget': 'latency=5000' });
  app.state.watchers.tell();
  await until(() => [one, two].every((w) => dataOf(w.text, 'sample').length > 0));
  t.same(liveHello.parse(dataOf(one.text, 'hello')[0]), { everyMs: 1000, loadButton: true, engineThreads: 1 });
  const samples = dataOf(one.text, 'sample').map((s) => liveSample.parse(s));
  // A second may have ended by itself in between.
  const sum = (of: (s: (typeof samples)[number]) => number) => samples.reduce((all, s) => all + of(s), 0);
  t.equal(
    sum((s) => s.pictures),
    2,
  );
  t.equal(
    sum((s) => s.refused),
    1,
  );
  t.equal(
    sum((s) => s.promises.of),
    1,
    'a picture that cannot be read breaks no promise',
  );
  t.equal(
    sum((s) => s.promises.kept),
    1,
  );
  t.same(
    samples.flatMap((s) => s.instances.map((i) => i.instance)).sort(),
    ['full', 'p01-r500'],
    'what was answered, by instance',
  );
  t.same(
    dataOf(two.text, 'sample'),
    dataOf(one.text, 'sample').slice(-dataOf(two.text, 'sample').length),
    'the same for all',
  );
  one.leave();
  await until(() => app.state.watchers.size === 1);
  two.leave();
  await until(() => app.state.watchers.size === 0);
});

t.test('a latency that was refused because of the load counts as a broken promise', async (t) => {
  const { app, url, runtime } = await readyApp(t, { MAX_QUEUE: '1' });
  const watcher = await watch(url);
  runtime.held = true;
  const png = await picture();
  const budget = { 'Inference-Budget': 'latency=60000, strict=?0' };
  const held = classify(url, png, budget);
  await until(() => runtime.runs.length === 1);
  const waiting = classify(url, png, budget);
  await until(() => app.state.service.scheduler.queued === 1);
  t.equal((await classify(url, png, budget)).status, 503);
  app.state.watchers.tell();
  await until(() => /"refused":1/.test(watcher.text));
  const [sample] = dataOf(watcher.text, 'sample').slice(-1);
  t.match(sample, { promises: { kept: 0, of: 1 }, promisedMs: 60_000, queued: 1 });
  runtime.held = false;
  for (const run of [...runtime.runs]) run.finish();
  await Promise.all([held, waiting]);
  watcher.leave();
});

t.test('the number of watchers is limited', async (t) => {
  const { app, url } = await readyApp(t);
  const all = await Promise.all(Array.from({ length: MAX_WATCHERS }, () => watch(url)));
  const refused = await fetch(`${url}/live`);
  t.equal(refused.status, 503);
  t.ok(Number(refused.headers.get('retry-after')) > 0);
  t.match(await refused.json(), {
    type: 'urn:dimmer:problem:overloaded',
    detail: /watching \/live already/,
    expected: /at most/,
    action: /close another page/,
  });
  t.equal((await fetch(`${url}/live`, { method: 'HEAD' })).status, 200, 'whoever only asks takes no place');
  all[0]?.leave();
  await until(() => app.state.watchers.size === MAX_WATCHERS - 1);
  const again = await watch(url);
  t.equal(again.response.status, 200);
  for (const watcher of [...all, again]) watcher.leave();
});

t.test('ends when the service drains, and is not there before it is ready', async (t) => {
  const early = await createApp(t);
  t.equal((await fetch(`${early.url}/live`)).status, 503);
  const { app, url } = await readyApp(t);
  const watcher = await watch(url);
  await until(() => watcher.text.includes('hello'));
  const closed = app.close();
  await until(() => watcher.ended);
  await closed;
  t.equal(app.state.watchers.size, 0);
});

t.test('a watcher that does not read loses samples, and takes no memory', (t) => {
  const watchers = new Watchers(new Live(), () => 0);
  const stream = watchers.join(HELLO);
  for (let n = 0; n < 2000; n++) watchers.tell();
  t.ok(
    stream.writableLength + stream.readableLength < 100_000,
    `${stream.writableLength + stream.readableLength} bytes`,
  );
  watchers.leave(stream);
  watchers.leave(new PassThrough()); // a stranger changes nothing
  t.equal(watchers.size, 0);
  t.end();
});

t.test('the page offers a burst only on this machine, unless LOAD_BUTTON allows it to everybody', (t) => {
  const offered = (ip: string | undefined, headers = {}, LOAD_BUTTON: 'on' | 'auto' = 'auto', TRUST_PROXY = '') =>
    offersLoad({ LOAD_BUTTON, TRUST_PROXY }, { ip, headers } as never);
  for (const here of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) t.ok(offered(here), here);
  for (const there of ['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '192.168.127.0', undefined])
    t.notOk(offered(there), String(there));
  for (const name of ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']) {
    t.notOk(offered('127.0.0.1', { [name]: 'x' }), name);
  }
  t.ok(offered('10.0.0.1', { via: 'x' }, 'on'));
  const forwarded = { 'x-forwarded-for': '127.0.0.1', via: 'x' };
  t.ok(offered('127.0.0.1', forwarded, 'auto', 'loopback'), 'a proxy that is believed says where the client is');
  t.notOk(offered('10.0.0.1', { 'x-forwarded-for': '10.0.0.1' }, 'auto', 'loopback'));
  t.notOk(offered('127.0.0.1', { forwarded: 'for=10.0.0.1' }, 'auto', 'loopback'), 'in a header that is not read');
  t.end();
});
