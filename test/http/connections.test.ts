/** How connections are limited and how they end, over real sockets. */
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { refuseAfterMs } from '../../src/draining.js';
import { problem as problemSchema } from '../../src/http/schemas.js';
import { createApp, picture, readyApp, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { converse, open } from '../support/raw.js';

const GET = 'GET /models HTTP/1.1\r\nHost: x\r\n\r\n';
const head = (bytes: number) => `POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`;
const codeOf = (body = '') => problemSchema.parse(JSON.parse(body)).type.replace('urn:dimmer:problem:', '');

/** Records the bytes that the server sends on a connection, and whether it closes it. */
function watch(socket: Socket) {
  const seen = { text: '', closed: false };
  socket.on('data', (data) => {
    seen.text += data.toString('latin1');
  });
  for (const end of ['end', 'close']) socket.on(end, () => Object.assign(seen, { closed: true }));
  return seen;
}

async function connected(t: Test, url: string, size: () => number) {
  const before = size();
  const socket = open(url);
  t.teardown(() => socket.destroy());
  await until(() => size() === before + 1);
  return { socket, seen: watch(socket) };
}

t.test('pipelined requests', async (t) => {
  const { app, url } = await readyApp(t);
  const { answers, closed } = await converse(url, [GET.repeat(2000)]);
  t.equal(answers.length, 17, 'sixteen are answered, the next is refused, and no other');
  t.same([...new Set(answers.slice(0, 16).map((a) => a.status))], [200]);
  t.same([...new Set(answers.slice(0, 16).map((a) => a.headers.connection))], ['keep-alive']);
  t.equal(codeOf(answers[16]?.body), 'overloaded');
  t.match(answers[16]?.headers, { connection: 'close', 'retry-after': '1' });
  t.ok(closed);

  const few = await converse(url, [GET.repeat(16), GET], { most: 17, pauseMs: 100 });
  t.same([...new Set(few.answers.map((a) => a.status))], [200], 'as many as are read may follow');
  await until(() => app.server.connections.size === 0);
});

t.test('a client that goes on sending after the last answer is disconnected', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  runtime.held = true;
  const png = await picture();
  const socket = open(url);
  const seen = watch(socket);
  socket.write(Buffer.concat([Buffer.from(head(png.length)), png]));
  await until(() => runtime.runs.length === 1);
  // Small answers: of large ones Node reads no further request once 64 KiB wait to be sent.
  for (let n = 0; n < 40 && !seen.closed; n++) socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(500));
  await until(() => app.server.connections.size === 0);
  t.equal(app.state.inFlight.size, 0);
});

t.test('the number of requests on a connection is limited', async (t) => {
  const { url } = await readyApp(t);
  const socket = open(url);
  const seen = watch(socket);
  const answers = () => seen.text.split('HTTP/1.1 200').length - 1;
  for (let n = 0; !seen.closed; n++) {
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => answers() === n + 1 || seen.closed);
    if (n < 999) t.notOk(seen.closed || /connection: close/i.test(seen.text)) || t.bailout('closed too soon');
  }
  t.equal(answers(), 1000);
  t.match(seen.text, /connection: close/i, 'and its answer says so');
});

t.test('MAX_CONNECTIONS', async (t) => {
  const { app, url, runtime } = await readyApp(t, { MAX_CONNECTIONS: '3' });
  const size = () => app.server.connections.size;
  const [first, second, third] = [
    await connected(t, url, size),
    await connected(t, url, size),
    await connected(t, url, size),
  ];
  first.socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => first.seen.text.includes('alive'));
  second.socket.write('POST /classify HTTP/1.1\r\nHo');
  const fourth = open(url);
  t.teardown(() => fourth.destroy());
  await until(() => second.seen.closed);
  t.notOk(first.seen.closed, 'one that was used later stays');
  t.notOk(third.seen.closed);
  t.equal(second.seen.text, '', 'a slow head costs its own connection only');

  runtime.held = true;
  const png = await picture();
  for (const socket of [first.socket, third.socket, fourth]) {
    socket.write(Buffer.concat([Buffer.from(head(png.length)), png]));
  }
  await until(() => app.state.inFlight.size === 3);
  for (let n = 0; n < 3; n++) {
    const { answers, closed } = await converse(url, []);
    t.equal(codeOf(answers[0]?.body), 'overloaded', 'busy ones are never closed for a new one');
    t.match(answers[0]?.headers, { connection: 'close', 'retry-after': '1', 'x-request-id': /./ });
    t.ok(closed);
  }
  runtime.held = false;
  for (const run of [...runtime.runs]) run.finish();
  await until(() => [first.seen.text, third.seen.text].every((text) => text.includes('predictions')));
});

t.test('time limits of connections', async (t) => {
  const clock = new FakeClock();
  const { app, url, runtime } = await readyApp(t, {}, { clock });
  const { connections } = app.server;
  const size = () => connections.size;
  const pass = async (ms: number) => {
    await clock.pass(ms);
    connections.sweep();
    await new Promise((resolve) => setImmediate(resolve));
  };

  await t.test('idle connections', async (t) => {
    const { seen } = await connected(t, url, size);
    await pass(90_000);
    t.equal(size(), 1);
    await pass(20_000);
    await until(() => size() === 0 && seen.closed);
  });

  await t.test('the rest of a body that was refused', async (t) => {
    const { socket, seen } = await connected(t, url, size);
    socket.write(head(99_999_999));
    await until(() => seen.text.includes('image-too-large'));
    await pass(4000);
    t.equal(size(), 1, 'the client has time to read why');
    await pass(2000);
    await until(() => size() === 0);
  });

  await t.test('answers that nobody reads', async (t) => {
    const { socket } = await connected(t, url, size);
    socket.pause();
    // Larger than what the two kernels hold between us, whatever they are set to.
    app.state.service.classifier.classify = () =>
      Promise.resolve({ results: [], budget: {}, filler: 'x'.repeat(50e6) } as never);
    socket.write(head(1));
    socket.write('x');
    await until(() => size() === 1 && app.state.inFlight.size === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await pass(1000);
    await pass(50_000);
    t.equal(size(), 1);
    await pass(70_000);
    await until(() => size() === 0);
    t.equal(app.state.inFlight.size, 0);
  });

  await t.test('a request that waits for its answer has no time limit', async (t) => {
    const fresh = await readyApp(t, {}, { clock });
    fresh.runtime.held = true;
    const png = await picture();
    const { socket, seen } = await connected(t, fresh.url, () => fresh.app.server.connections.size);
    socket.write(Buffer.concat([Buffer.from(head(png.length)), png]));
    await until(() => fresh.runtime.runs.length === 1);
    await clock.pass(3_600_000);
    fresh.app.server.connections.sweep();
    fresh.runtime.runs[0]?.finish();
    await until(() => seen.text.includes('predictions'));
  });
  t.equal(runtime.runs.length, 0);
});

t.test('memory of pipelined requests is released when their connection closes', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  runtime.held = true;
  const png = await picture();
  const socket = open(url);
  socket.write(Buffer.concat([Buffer.from(head(png.length)), png, Buffer.from(head(png.length)), png]));
  await until(() => app.state.inFlight.size === 2);
  socket.destroy();
  await until(() => app.state.inFlight.size === 0 && app.state.uploads.heldBytes === 0);
});

t.test('a request that ends within its body leaves the answer to the one before it', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  runtime.held = true;
  const png = await picture();
  const { socket, seen } = await connected(t, url, () => app.server.connections.size);
  socket.write(Buffer.concat([Buffer.from(head(png.length)), png, Buffer.from(head(png.length)), png.subarray(0, 9)]));
  await until(() => runtime.runs.length === 1 && app.state.uploads.heldBytes === 9);
  socket.end();
  await until(() => app.state.uploads.heldBytes === 0); // the broken one is given up
  runtime.runs[0]?.finish();
  await until(() => seen.closed);
  t.equal(seen.text.split('HTTP/1.1 200').length, 2);
  t.ok(seen.text.includes('predictions'));
  t.match(seen.text, /HTTP\/1.1 400 [\s\S]*invalid-request/, 'and the broken one has its own, behind it');
  await until(() => app.state.inFlight.size === 0);
});

t.test('draining', async (t) => {
  const png = await picture();
  const upload = Buffer.concat([Buffer.from(head(png.length)), png]);

  await t.test('connections without a request are closed at once, the others after their answers', async (t) => {
    const { app, url, runtime } = await readyApp(t);
    const size = () => app.server.connections.size;
    const idle = await connected(t, url, size);
    const half = await connected(t, url, size);
    half.socket.write('POST /cl');
    const refused = await connected(t, url, size);
    refused.socket.write(head(99_999_999));
    await until(() => refused.seen.text.includes('image-too-large'));
    runtime.held = true;
    const busy = await connected(t, url, size);
    busy.socket.write(Buffer.concat([upload, upload]));
    await until(() => app.state.inFlight.size === 2);
    const closed = app.close();
    await until(() => idle.seen.closed && half.seen.closed && refused.seen.closed);
    t.notOk(busy.seen.closed);
    const { answers } = await converse(url, ['GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n']);
    t.equal(codeOf(answers[0]?.body), 'draining', 'new ones are told');
    runtime.held = false;
    for (const run of [...runtime.runs]) run.finish();
    await closed;
    await until(() => busy.seen.closed);
    t.equal(busy.seen.text.split('predictions').length, 3, 'both have their answers');
    t.equal(busy.seen.text.match(/connection: close/gi)?.length, 1, 'the last says that it is the last');
  });

  await t.test('for DRAIN_DELAY_MS requests are served, and everybody is told to turn elsewhere', async (t) => {
    const clock = new FakeClock();
    const { app, url } = await readyApp(t, {}, { clock });
    const size = () => app.server.connections.size;
    const idle = await connected(t, url, size);
    const used = await connected(t, url, size);
    used.socket.write(GET);
    await until(() => used.seen.text.includes('\r\n\r\n'));
    t.notMatch(used.seen.text, /connection: close/i);
    const closed = app.close(5000);
    const ready = await fetch(`${url}/readyz`);
    t.equal(ready.status, 503);
    t.match(await ready.json(), { type: 'urn:dimmer:problem:draining' });
    t.ok(ready.headers.get('retry-after'));
    t.match(await app.state.metrics.registry.metrics(), /^dimmer_ready 0$/m);
    await clock.pass(4999);
    const { answers } = await converse(url, [upload]);
    t.match(answers[0], { status: 200, headers: { connection: 'close' } }, 'a new connection');
    used.socket.write(upload);
    await until(() => used.seen.closed);
    t.match(used.seen.text, /HTTP\/1.1 200 OK.*connection: close.*predictions/is, 'one that is kept alive');
    t.notOk(idle.seen.closed, 'one that is idle: a request may be on its way');
    await clock.pass(1);
    await until(() => idle.seen.closed);
    await closed;
    await t.rejects(fetch(`${url}/readyz`), 'the port is closed');
  });

  await t.test('after the delay what is under way is finished, and what is new is refused', async (t) => {
    const clock = new FakeClock();
    const { app, url, runtime } = await readyApp(t, {}, { clock });
    runtime.held = true;
    const busy = await connected(t, url, () => app.server.connections.size);
    const closed = app.close(5000);
    busy.socket.write(upload);
    await until(() => app.state.inFlight.size === 1);
    await clock.pass(5000);
    const { answers } = await converse(url, [upload]);
    t.match(answers[0], { status: 503, headers: { connection: 'close', 'retry-after': /^\d+$/ } });
    t.equal(codeOf(answers[0]?.body), 'draining');
    await until(() => runtime.runs.length === 1);
    for (const run of [...runtime.runs]) run.finish();
    await until(() => busy.seen.closed);
    t.match(busy.seen.text, /^HTTP\/1.1 200/);
    await closed;
  });

  await t.test('a second signal ends the delay, and refuses what waits', async (t) => {
    const clock = new FakeClock();
    const { app, url, runtime } = await readyApp(t, {}, { clock });
    runtime.held = true;
    const busy = await connected(t, url, () => app.server.connections.size);
    const closed = app.close(5000);
    busy.socket.write(upload);
    await until(() => runtime.runs.length === 1);
    app.hurry();
    await until(() => busy.seen.closed);
    t.match(busy.seen.text, /^HTTP\/1.1 503 .*problem:draining/s);
    for (const run of [...runtime.runs]) run.finish();
    await closed;
    t.ok(app.state.draining);
  });

  await t.test('a service that is not ready ends without delay', async (t) => {
    const { app, url } = await createApp(t, {}, { clock: new FakeClock() });
    await app.close(5000);
    await t.rejects(fetch(`${url}/healthz`));
  });

  await t.test('requests that take longer than DRAIN_TIMEOUT_MS are refused', async (t) => {
    const clock = new FakeClock();
    const { app, url, runtime } = await readyApp(t, { DRAIN_TIMEOUT_MS: '1000', DRAIN_DELAY_MS: '0' }, { clock });
    runtime.held = true;
    const size = () => app.server.connections.size;
    const waiting = await connected(t, url, size);
    waiting.socket.write(upload);
    await until(() => runtime.runs.length === 1);
    const stalled = await connected(t, url, size);
    stalled.socket.write(head(1000));
    await until(() => app.state.inFlight.size === 2);
    const closed = app.close();
    await clock.pass(refuseAfterMs(1000) - 1);
    t.equal(app.state.inFlight.size, 2);
    await clock.pass(1);
    await until(() => waiting.seen.closed && stalled.seen.closed);
    for (const { seen } of [waiting, stalled]) t.match(seen.text, /^HTTP\/1.1 503 .*problem:draining/s);
    await until(() => app.state.inFlight.size === 0);
    for (const run of [...runtime.runs]) run.finish();
    await closed;
  });
});

t.test('heads and bodies that do not arrive in time', async (t) => {
  const { app, url } = await readyApp(t, { REQUEST_TIMEOUT_MS: '200' });
  const silent = watch(open(url));
  const { answers, closed } = await converse(url, ['GET /healthz HTTP/1.1\r\nHo']);
  t.match(answers[0], { status: 408, headers: { connection: 'close', 'x-request-id': /^[\w-]+$/ } });
  t.equal(codeOf(answers[0]?.body), 'request-timeout');
  t.ok(closed);
  await until(() => silent.closed);
  t.equal(silent.text, '', 'one that asked nothing is told nothing: the next request might take it for its answer');
  const body = await converse(url, [head(100), 'x']);
  t.equal(codeOf(body.answers[0]?.body), 'request-timeout');
  await until(() => app.state.inFlight.size === 0);
  t.match(await app.state.metrics.registry.metrics(), 'status="408",reason="request-timeout"} 1');
});
