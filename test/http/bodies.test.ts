/** Refusals before the body is read, and what happens to a request while its pictures are decoded. */
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { classify, picture, readyApp, until } from '../support/app.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FakeProcess } from '../support/fake-process.js';

const portOf = (url: string) => Number(new URL(url).port);

/** Sends the head of a request without its body; returns the answer. */
async function answerToHead(url: string, target: string, headers: readonly string[]): Promise<string> {
  const socket = connect(portOf(url), '127.0.0.1');
  socket.write(`POST ${target} HTTP/1.1\r\nHost: x\r\n${headers.map((h) => `${h}\r\n`).join('')}\r\n`);
  let answer = '';
  for await (const chunk of socket) {
    answer += chunk;
    if (/\r\n\r\n\{[\s\S]*\}$/.test(answer)) break;
  }
  socket.destroy();
  return answer;
}

/** The application with decodes that end when the test says so. */
async function stalledApp(t: Test, environment: Record<string, string> = {}) {
  const processes: FakeProcess[] = [];
  const startProcess = () => {
    const process = new FakeProcess();
    processes.push(process);
    return process;
  };
  const clock = new FakeClock();
  const underWay = () => processes.filter((p) => p.asked);
  /** 16 x 16 pixels. */
  const finishAll = () => {
    for (const process of underWay()) process.reply({ type: 'bytes', bytes: new Uint8Array(768) });
  };
  const measuring = setInterval(finishAll, 1); // decoding is measured at start
  const { app, url, runtime } = await readyApp(t, environment, { clock, startProcess });
  clearInterval(measuring);
  t.teardown(() => finishAll());
  return { app, url, runtime, clock, processes, underWay, finishAll };
}

t.test('a wrong head is refused before the body is read', async (t) => {
  const { url } = await readyApp(t);
  const length = 'Content-Length: 1000';
  const cases: [string, string, string[], number, string][] = [
    ['query', '/classify?top=0', [length], 400, 'invalid-request'],
    ['model', '/classify?model=none', [length], 404, 'unknown-model'],
    ['instance', '/classify?instance=p09-r500', [length], 404, 'unknown-instance'],
    ['budget', '/classify', [length, 'Inference-Budget: speed=1'], 400, 'invalid-budget'],
    ['impossible budget', '/classify', [length, 'Inference-Budget: cost=0.001'], 422, 'infeasible-budget'],
    ['length', '/classify', ['Content-Length: 99999999'], 413, 'image-too-large'],
    ['encoding', '/classify', [length, 'Content-Encoding: gzip'], 415, 'unsupported-media'],
  ];
  for (const [name, target, headers, status, code] of cases) {
    const answer = await answerToHead(url, target, headers);
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*urn:dimmer:problem:${code}"`), name);
  }
  const identity = await classify(url, await picture(), { 'Content-Encoding': 'identity' });
  t.equal(identity.status, 200);
});

t.test('each picture of a form has its own limit, the form another, however it comes', async (t) => {
  const { url } = await readyApp(t, { MAX_IMAGE_BYTES: '20000', MAX_REQUEST_BYTES: '50000' });
  const padded = Buffer.concat([await picture(), Buffer.alloc(18_000)]);
  const formOf = (count: number) => {
    const form = new FormData();
    for (let i = 0; i < count; i++) form.append('image', new Blob([padded]));
    return form;
  };
  for (const chunked of [false, true]) {
    const send = async (count: number) => {
      const whole = new Request(url, { method: 'POST', body: formOf(count) });
      if (!chunked) return classify(url, formOf(count));
      const type = whole.headers.get('content-type') as string;
      const body = new Blob([await whole.arrayBuffer()]).stream();
      const request = { method: 'POST', body, duplex: 'half', headers: { 'Content-Type': type } } as RequestInit;
      return fetch(`${url}/classify`, request);
    };
    t.equal((await send(2)).status, 200, `two, chunked: ${chunked}`);
    const refused = await send(3);
    t.equal(refused.status, 413, `three, chunked: ${chunked}`);
    t.match(await refused.json(), { type: 'urn:dimmer:problem:image-too-large' });
  }
});

t.test('a deadline that passes while the picture waits to be decoded, or is decoded', async (t) => {
  const { url, clock, underWay, finishAll, app } = await stalledApp(t);
  const png = await picture();
  const others = [1, 2, 3, 4].map(() => classify(url, png)); // more than processes
  const all = app.state.config.CPUS + 1;
  await until(() => underWay().length === Math.min(4, all));
  const waiting = classify(url, png, { 'Inference-Budget': 'latency=500' });
  await until(() => app.state.service.scheduler.queued === 5);
  await clock.pass(500);
  const answer = await waiting;
  t.equal(answer.status, 504);
  t.match(await answer.json(), { type: 'urn:dimmer:problem:deadline-exceeded' });
  t.equal(app.state.service.scheduler.queued, 4, 'its place is free');
  const finishing = setInterval(finishAll, 5);
  t.teardown(() => clearInterval(finishing));
  for (const response of await Promise.all(others)) t.equal(response.status, 200);
});

t.test('a disconnected client holds neither memory nor a place in the queue, at any stage', async (t) => {
  const { url, app, underWay, processes, clock } = await stalledApp(t);
  const { scheduler } = app.state.service;
  const body = Buffer.alloc(100_000, 1);
  const sockets = Array.from({ length: 10 }, () => {
    const socket = connect(portOf(url), '127.0.0.1');
    socket.write(`POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
    return socket;
  });
  await until(() => scheduler.queued === 10);
  t.equal(app.state.uploads.heldBytes, 1_000_000);
  for (const socket of sockets) socket.destroy();
  await until(() => scheduler.queued === 0 && app.state.inFlight.size === 0);
  t.equal(app.state.uploads.heldBytes, 0);
  const decoding = underWay();
  t.ok(decoding.length > 0);
  await clock.pass(250);
  for (const process of decoding) t.ok(process.killed, 'a decode for nobody does not go on for long');
  await until(() => processes.length > decoding.length);
  t.match(await (await fetch(`${url}/metrics`)).text(), /reason="client-gone"\} 10/);
});

t.test('the bytes of a picture are released when it is decoded, not when it is answered', async (t) => {
  const { url, app, runtime, underWay, finishAll } = await stalledApp(t);
  runtime.held = true;
  const pending = classify(url, Buffer.alloc(5000, 1));
  await until(() => underWay().length === 1);
  t.equal(app.state.uploads.heldBytes, 5000);
  finishAll();
  await until(() => runtime.runs.length === 1);
  t.equal(app.state.uploads.heldBytes, 0);
  runtime.runs[0]?.finish();
  t.equal((await pending).status, 200);
});

t.test('a service that can no longer decode is not ready', async (t) => {
  const { url, clock, processes, underWay, finishAll } = await stalledApp(t);
  const ready = async () => (await fetch(`${url}/readyz`)).status;
  t.equal(await ready(), 200);
  // Not even a kill ends them, as in a process that waits for a broken disk.
  const end = processes.map((process) => {
    const { end } = process;
    process.kill = () => {};
    return end;
  });
  const kills = setInterval(() => {
    for (const process of processes) process.kill = () => {};
  }, 1);
  const pending = Array.from({ length: 50 }, () => classify(url, Buffer.alloc(100, 1)));
  await until(() => underWay().length === end.length);
  for (let n = 0; n < 15 && (await ready()) === 200; n++) await clock.pass(1000);
  t.equal(await ready(), 503);
  const refused = await classify(url, 'x');
  t.match(await refused.json(), { type: 'urn:dimmer:problem:not-ready', detail: /decoded/ });
  clearInterval(kills);
  for (const process of processes) process.end('SIGKILL');
  await settle(); // they have ended
  await clock.pass(100); // and their pictures are tried once more
  const finishing = setInterval(finishAll, 5);
  t.teardown(() => clearInterval(finishing));
  await Promise.all(pending);
  t.equal(await ready(), 200);
});
