/** Everything under /v2 fails in the manner of the protocol, as early, and is counted, as elsewhere. */
import { connect } from 'node:net';
import t from 'tap';
import { PROBLEMS } from '../../src/http/problem.js';
import { picture, readyApp, tinyFamilies, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { converse } from '../support/raw.js';
import { filesInput, INFER, imageInput, isAnswer, isV2Error, pixels, post, withBinary } from '../support/v2.js';

t.test('what the head says is judged before the body', async (t) => {
  const { app, url } = await readyApp(t, { MAX_QUEUE: '1' });
  const length = 'Content-Length: 1000';
  /** The answer to a head whose body never comes. */
  const answerTo = async (target: string, headers: readonly string[]) => {
    const head = [`POST ${target} HTTP/1.1`, 'Host: x', ...headers].join('\r\n');
    const { answers } = await converse(url, [`${head}\r\n\r\n`], { most: 1 });
    return answers[0];
  };
  const cases = [
    ['/v2/models/none/infer', [length], 'unknown-model'],
    ['/v2/models/tiny/versions/none/infer', [length], 'unknown-model'],
    [INFER, [length, 'Inference-Budget: speed=1'], 'invalid-budget'],
    [INFER, [length, 'Inference-Budget: cost=0.001'], 'infeasible-budget'],
    [INFER, ['Content-Length: 99999999'], 'image-too-large'],
    [INFER, ['Content-Length: 999999999', 'Inference-Header-Content-Length: 100'], 'image-too-large'],
    [INFER, [length, 'Inference-Header-Content-Length: 99999999'], 'image-too-large'],
    [INFER, [length, 'Inference-Header-Content-Length: 1e3'], 'invalid-request'],
    [INFER, [length, 'Content-Encoding: br'], 'unsupported-media'],
    ['/v2/nothing', [length], 'not-found'],
    ['/v2/models/tiny', [length], 'method-not-allowed'],
    [INFER, [length, 'Expect: x'], 'expectation-failed'],
    ['/v2/models/%zz/infer', [length], 'invalid-request'],
    [`/v2/${'a'.repeat(9000)}`, [length], 'uri-too-long'],
    ['http://example.com/v2/nothing', [length], 'not-found'],
    ['/%762/models/none/infer', [length], 'unknown-model'],
  ] as const;
  for (const [target, headers, code] of cases) {
    const answer = await answerTo(target, headers);
    t.equal(answer?.status, PROBLEMS[code].status, `${target.slice(0, 60)} ${headers}`);
    t.equal(answer?.headers['content-type'], 'application/json');
    t.match(JSON.parse(answer?.body ?? ''), { error: new RegExp(`^${code}: `) });
  }
  t.equal(app.state.inFlight.size, 0);
});

t.test('what only looks like it is answered as elsewhere', async (t) => {
  const { url } = await readyApp(t);
  for (const path of ['/v20', '/v2x/models', '/models/v2', '/x/v2'])
    t.equal((await fetch(`${url}${path}`)).headers.get('content-type'), 'application/problem+json', path);
  const { answers } = await converse(url, ['GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'], { most: 1 });
  t.equal(answers[0]?.headers['content-type'], 'application/problem+json');
});

t.test('a full queue is said before the body, whatever its budget would be', async (t) => {
  const { app, url, runtime } = await readyApp(t, { MAX_QUEUE: '1' });
  const body = { inputs: [filesInput([await picture()])] };
  runtime.held = true;
  const first = post(url, body);
  await until(() => runtime.runs.length === 1);
  const second = post(url, body);
  await until(() => app.state.service.scheduler.stages.decoded === 1);
  const head = `POST ${INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`;
  const { answers } = await converse(url, [head], { most: 1 });
  t.equal(answers[0]?.status, 503);
  t.match(answers[0]?.body, /^\{"error":"overloaded: /);
  t.ok(Number(answers[0]?.headers['retry-after']) >= 1);
  runtime.held = false;
  runtime.runs[0]?.finish();
  for (const pending of [first, second]) await isAnswer(t, await pending);
});

t.test('a quota counts for both protocols together', async (t) => {
  const key = 'a-key-of-sixteen-c';
  const { url } = await readyApp(t, { QUOTA_PER_MINUTE: '2', API_KEYS: key });
  const body = { inputs: [filesInput([await picture()])] };
  await isAnswer(t, await post(url, body, { 'X-Api-Key': key }));
  const classified = await fetch(`${url}/classify`, {
    method: 'POST',
    body: await picture(),
    headers: { 'X-Api-Key': key },
  });
  t.equal(classified.status, 200);
  await isV2Error(t, await post(url, body, { 'X-Api-Key': key }), 'quota-exceeded');
  await isAnswer(t, await post(url, body));
  t.equal((await fetch(`${url}/v2/models/tiny`)).status, 200, 'only pictures count');
});

t.test('a client that goes while its picture waits never reaches an engine thread', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  const body = JSON.stringify({ inputs: [filesInput([await picture()])] });
  runtime.held = true;
  const first = fetch(`${url}${INFER}`, { method: 'POST', body });
  await until(() => runtime.runs.length === 1);
  const going = new AbortController();
  const gone = fetch(`${url}${INFER}`, { method: 'POST', body, signal: going.signal });
  await until(() => app.state.service.scheduler.queued === 1);
  going.abort();
  await t.rejects(gone);
  await until(() => app.state.service.scheduler.queued === 0);
  runtime.runs[0]?.finish();
  await isAnswer(t, await first);
  await until(() => app.state.inFlight.size === 0);
  t.equal(runtime.history.length, 1);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  t.match(metrics, /dimmer_requests_total\{status="499",reason="client-gone"\} 1/);
  t.match(metrics, /dimmer_requests_total\{status="200",reason="ok"\} 1/);
});

t.test('a client that breaks off its request for the index is let go', async (t) => {
  const { app, url } = await readyApp(t);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
  await until(() => app.state.uploads.heldBytes === 1);
  socket.resetAndDestroy();
  await until(() => app.state.uploads.heldBytes === 0);
  t.equal((await fetch(`${url}/v2`)).status, 200);
});

t.test('a latency that passes while the picture waits, and who watches hears of it', async (t) => {
  const clock = new FakeClock();
  const { app, url, runtime } = await readyApp(t, {}, { clock });
  const body = (parameters: object) => ({ parameters, inputs: [imageInput([...pixels()])] });
  app.state.live.watch();
  t.teardown(() => app.state.live.unwatch());
  runtime.held = true;
  const first = post(url, body({}));
  await until(() => runtime.runs.length === 1);
  const pending = post(url, body({ budget_latency_ms: 200 }));
  await until(() => app.state.service.scheduler.queued === 1);
  await clock.pass(200);
  await isV2Error(t, await pending, 'deadline-exceeded');
  runtime.runs[0]?.finish();
  await isAnswer(t, await first);
  t.match(app.state.live.take(), { answered: 1, refused: 1, promisedMs: 200, promises: { kept: 0, of: 1 } });
});

t.test('what a body becomes is held until it is decoded, and not twice', async (t) => {
  const { app, url, runtime } = await readyApp(t, { MODELS_DIR: tinyFamilies(t, ['tiny']) });
  const raw = pixels(100, 100);
  const input = {
    name: 'image',
    shape: [1, 100, 100, 3],
    datatype: 'UINT8',
    parameters: { binary_data_size: raw.length },
  };
  const { uploads } = app.state;
  const most = { held: 0 };
  const { score } = app.state.service.classifier;
  app.state.service.classifier.score = (...of) => {
    most.held = uploads.heldBytes;
    return score.apply(app.state.service.classifier, of);
  };
  await isAnswer(t, await post(url, ...withBinary({ inputs: [input] }, raw)));
  t.ok(most.held >= raw.length && most.held < raw.length + 200, 'the picture, and no JSON');
  t.equal(uploads.heldBytes, 0);
  t.equal(runtime.history.length, 1);
});
