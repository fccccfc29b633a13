import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { Dimmer, ProblemError } from '../../../clients/typescript/src/index.js';
import { delay, type RetryOptions, retryAfterMs, retrying } from '../../../clients/typescript/src/retry.js';

const answer = (status: number, retryAfter?: string) =>
  new Response('{}', { status, headers: retryAfter === undefined ? {} : { 'Retry-After': retryAfter } });

/** Sends a request to a service that gives these answers in turn. random: what comes of Math.random. */
async function sent(answers: readonly Response[], options: RetryOptions = {}, random = 0) {
  const waits: number[] = [];
  let tries = 0;
  const send = retrying(options, {
    fetch: async () => answers[tries++] as Response,
    wait: async (ms) => void waits.push(ms),
    random: () => random,
  });
  const { status } = await send(new Request('http://localhost/models'));
  return { status, tries, waits };
}

t.test('429 and 503 are sent again after Retry-After', async (t) => {
  t.same(await sent([answer(503, '1'), answer(429, '2'), answer(200)]), { status: 200, tries: 3, waits: [1000, 2000] });
});

t.test('nothing else is sent again', async (t) => {
  for (const status of [200, 400, 404, 408, 413, 422, 500, 501, 502, 504]) {
    t.same(await sent([answer(status, '1')]), { status, tries: 1, waits: [] });
  }
});

t.test('a network that fails is not asked again', async (t) => {
  let tries = 0;
  const send = retrying(
    {},
    {
      fetch: async () => {
        tries += 1;
        throw new TypeError('fetch failed');
      },
      wait: () => Promise.reject(new Error('no wait')),
      random: () => 0,
    },
  );
  await t.rejects(send(new Request('http://localhost/models')), /fetch failed/);
  t.equal(tries, 1);
});

t.test('tries are bounded', async (t) => {
  const refusals = Array.from({ length: 9 }, () => answer(503, '1'));
  t.equal((await sent(refusals)).tries, 3, 'three if not said');
  t.equal((await sent(refusals, { tries: 5 })).tries, 5);
  t.same(await sent(refusals, { tries: 1 }), { status: 503, tries: 1, waits: [] });
  for (const tries of [0, -1, Number.NaN]) t.equal((await sent(refusals, { tries })).tries, 1, `${tries}`);
});

t.test('a wait that is too long ends the tries', async (t) => {
  t.same(await sent([answer(429, '11')]), { status: 429, tries: 1, waits: [] });
  t.same((await sent([answer(429, '11'), answer(200)], { maxWaitMs: 11_000 })).waits, [11_000]);
  const never = await sent([answer(429, '99999999999')], { maxWaitMs: Number.POSITIVE_INFINITY });
  t.equal(never.tries, 1, 'no timer waits for so long');
});

t.test('waits are never shorter than asked, and at random up to twice as long', async (t) => {
  t.same((await sent([answer(503, '2'), answer(200)], {}, 0.5)).waits, [3000]);
  t.same((await sent([answer(503, '2'), answer(200)], {}, 1)).waits, [4000]);
});

t.test('without Retry-After the waits double', async (t) => {
  const refusals = [answer(503), answer(503, 'soon'), answer(503), answer(200)];
  t.same((await sent(refusals, { tries: 9 })).waits, [500, 1000, 2000]);
});

t.test('Retry-After is seconds or a date', (t) => {
  const nowMs = Date.UTC(2026, 10, 29, 8, 0, 0);
  const of = (text: string) => retryAfterMs(new Headers({ 'Retry-After': text }), nowMs);
  t.equal(of('0'), 0);
  t.equal(of('120'), 120_000);
  t.equal(of('Sun, 29 Nov 2026 08:00:30 GMT'), 30_000);
  t.equal(of('Sunday, 29-Nov-26 08:00:30 GMT'), 30_000, 'the older form, which RFC 9110 has recipients read');
  t.equal(of('Sun, 29 Nov 2026 07:00:00 GMT'), 0, 'a time that has passed');
  for (const text of ['', 'soon', '-1', '1.5', '5.5', '1e3', 'GMT', ' GMT', 'Tue GMT'])
    t.equal(of(text), undefined, text);
  t.equal(retryAfterMs(new Headers(), nowMs), undefined);
  t.end();
});

/** A server that answers 503 at first, and keeps the bodies that it got. */
async function refusing(t: Test, refusals: number, retryAfter: string) {
  const bodies: Buffer[] = [];
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    bodies.push(Buffer.concat(chunks));
    if (bodies.length <= refusals) response.writeHead(503, { 'Retry-After': retryAfter }).end('{}');
    else response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"results":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close().closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

t.test('every try carries the whole body', async (t) => {
  const { url, bodies } = await refusing(t, 2, '0');
  // Larger than a socket takes at once.
  const picture = Buffer.alloc(3_000_000, 'picture');
  await new Dimmer(url).classify(picture);
  t.equal(bodies.length, 3);
  t.ok(bodies.every((body) => body.equals(picture)));
});

t.test('every try carries the whole form', async (t) => {
  const { url, bodies } = await refusing(t, 1, '0');
  await new Dimmer(url).classify([Buffer.from('one'), Buffer.from('two')]);
  t.equal(bodies.length, 2);
  t.same(bodies[0], bodies[1]);
  t.match(String(bodies[0]), /\r\n\r\none\r\n[\s\S]*\r\n\r\ntwo\r\n/);
});

t.test('the last refusal is the error', async (t) => {
  const { url, bodies } = await refusing(t, 9, '0');
  const error = await new Dimmer(url, { retry: { tries: 2 } }).models().catch((e) => e);
  t.ok(error instanceof ProblemError);
  t.match(error, { status: 503, retryAfterMs: 0 });
  t.equal(bodies.length, 2);
});

t.test('a signal ends the wait at once, with its reason', async (t) => {
  const { url, bodies } = await refusing(t, 9, '5');
  const given = new AbortController();
  const reason = new Error('no longer of interest');
  const fetch = async (request: Request) => {
    const response = await globalThis.fetch(request);
    setImmediate(() => given.abort(reason));
    return response;
  };
  const error = await new Dimmer(url, { fetch }).models({ signal: given.signal }).catch((e) => e);
  t.equal(error, reason);
  t.equal(bodies.length, 1);
});

t.test('a signal ends a request under way', async (t) => {
  const given = new AbortController();
  const server = createServer(() => given.abort(new Error('no longer of interest')));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const classified = new Dimmer(`http://127.0.0.1:${port}`).classify(Buffer.from('x'), { signal: given.signal });
  await t.rejects(classified, /no longer of interest/);
});

t.test('a signal that was aborted before asks nothing', async (t) => {
  const { url, bodies } = await refusing(t, 0, '0');
  await t.rejects(new Dimmer(url).models({ signal: AbortSignal.abort(new Error('before')) }), /before/);
  t.equal(bodies.length, 0);
});

t.test('a wait leaves no listener behind, and an aborted one no timer', async (t) => {
  const given = new AbortController();
  const { signal } = given;
  let listening = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...all: Parameters<typeof addEventListener>) => {
    listening += 1;
    addEventListener.apply(signal, all);
  };
  signal.removeEventListener = (...all: Parameters<typeof removeEventListener>) => {
    listening -= 1;
    removeEventListener.apply(signal, all);
  };
  await delay(1, signal);
  t.equal(listening, 0);
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const waiting = delay(100_000, signal);
  t.equal(timers(), before + 1);
  given.abort(new Error('enough'));
  await t.rejects(waiting, /enough/);
  t.equal(timers(), before);
  await t.rejects(delay(1, signal), /enough/, 'aborted before');
});
