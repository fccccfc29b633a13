/** Every row of the error table, over real HTTP. */
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { ERROR_CODES, type ErrorCode } from '../../src/errors.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { problem as problemSchema } from '../../src/http/schemas.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { classify, createApp, picture, readyApp, temporaryFolder, tinyFamilies, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { HEIC, hugePng, PDF, SVG } from '../support/pictures.js';

/** Error codes that the tests of this file have provoked. */
const seen = new Set<ErrorCode>();

/** Asserts that a response is a complete problem with this code; returns the problem. */
async function isProblem(t: Test, response: Response, code: ErrorCode) {
  const text = await response.text();
  t.equal(response.status, PROBLEMS[code].status, text);
  t.equal(response.headers.get('content-type'), 'application/problem+json');
  const problem = problemSchema.parse(JSON.parse(text));
  t.equal(problem.type, `urn:dimmer:problem:${code}`);
  t.equal(problem.status, response.status);
  t.ok(problem.detail && problem.expected && problem.action, 'says what was wrong, expected, and to be done');
  if (response.status === 503) t.ok(Number(response.headers.get('retry-after')) >= 1, 'Retry-After');
  seen.add(code);
  return problem;
}

/** Sends raw bytes, with pauses between the parts, and returns everything received until the server closes. */
function raw(url: string, parts: readonly (string | Buffer)[], pauseMs = 0): Promise<Response> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => (answer += data));
    socket.on('error', reject);
    socket.on('close', () => {
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      const [status = '', ...headers] = head.split('\r\n');
      const pairs = headers.map((h) => h.split(/: (.*)/s).slice(0, 2) as [string, string]);
      resolve(new Response(body, { status: Number(status.split(' ')[1]), headers: pairs }));
    });
    void (async () => {
      for (const part of parts) {
        socket.write(part);
        await new Promise((done) => setTimeout(done, pauseMs));
      }
    })();
  });
}

t.test('pictures and bodies', async (t) => {
  const { url } = await readyApp(t, { MAX_IMAGE_BYTES: '200000', MAX_IMAGES: '3' });
  const png = await picture();

  await t.test('what is no picture of a known kind', async (t) => {
    for (const [body, name] of [
      [SVG, 'SVG'],
      [PDF, 'PDF'],
      [HEIC, 'HEIC'],
      [Buffer.from('some text'), 'no picture'],
      [Buffer.alloc(0), 'empty'],
    ] as const) {
      const { detail } = await isProblem(t, await classify(url, body), 'unsupported-media');
      t.match(detail, name);
    }
    const { detail } = await isProblem(t, await fetch(`${url}/classify`, { method: 'POST' }), 'unsupported-media');
    t.match(detail, 'empty', 'no body at all');
    await isProblem(t, await classify(url, SVG, { 'Content-Type': 'image/png' }), 'unsupported-media');
    t.equal((await fetch(`${url}/%zz`)).headers.get('content-type'), 'application/problem+json', 'a path that is none');
  });

  await t.test('a truncated picture', async (t) => {
    const jpeg = await picture('jpeg', 300, 300);
    await isProblem(t, await classify(url, jpeg.subarray(0, jpeg.length - 200)), 'invalid-image');
  });

  await t.test('100 megapixels in a small file', async (t) => {
    const bytes = hugePng(10_000, 10_000);
    t.ok(bytes.length < 600_000);
    const { url } = await readyApp(t);
    const { detail } = await isProblem(t, await classify(url, bytes), 'image-too-large');
    t.match(detail, '10000 x 10000');
  });

  await t.test('too many bytes, announced or not', async (t) => {
    const large = Buffer.alloc(200_001, 'x');
    await isProblem(t, await classify(url, large), 'image-too-large');
    const chunked = { method: 'POST', body: new Blob([large]).stream(), duplex: 'half' } as RequestInit;
    await isProblem(t, await fetch(`${url}/classify`, chunked), 'image-too-large');
    const form = new FormData();
    form.append('image', new Blob([large]));
    await isProblem(t, await classify(url, form), 'image-too-large');
  });

  await t.test('a wrong form', async (t) => {
    const send = (type: string, body: string) => classify(url, body, { 'Content-Type': type });
    await isProblem(t, await send('multipart/form-data', 'x'), 'invalid-request');
    await isProblem(t, await send('multipart/form-data; boundary=b', ''), 'invalid-request');
    const part = '--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n';
    await isProblem(t, await send('multipart/form-data; boundary=b', `${part}abc`), 'invalid-request');
    await isProblem(t, await send('multipart/form-data; boundary=b', '--b--\r\n'), 'invalid-request');
    const field = new FormData();
    field.append('image', 'text, no picture');
    await isProblem(t, await classify(url, field), 'unsupported-media');
    const other = new FormData();
    other.append('photo', new Blob([png]));
    t.match((await isProblem(t, await classify(url, other), 'invalid-request')).detail, 'photo');
  });

  await t.test('too many pictures', async (t) => {
    const form = new FormData();
    for (let i = 0; i < 4; i++) form.append('image', new Blob([png]), `${i}.png`);
    await isProblem(t, await classify(url, form), 'too-many-images');
  });

  await t.test('one bad picture among good ones is named', async (t) => {
    const form = new FormData();
    for (const body of [png, png.subarray(0, 60), png]) form.append('image', new Blob([body]));
    t.equal((await isProblem(t, await classify(url, form), 'invalid-image')).image, 1);
  });
});

t.test('headers, query and paths', async (t) => {
  const { url } = await readyApp(t);
  const png = await picture();

  await t.test('a budget that cannot be read', async (t) => {
    for (const budget of ['cost=2', 'speed=1', 'cost', 'cost=0.1234', ';;;', 'cost=0.5, cost']) {
      await isProblem(t, await classify(url, png, { 'Inference-Budget': budget }), 'invalid-budget');
    }
    const twice = `POST /classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${png.length}\r\nInference-Budget: cost=0.5\r\nInference-Budget: nonsense=1\r\n\r\n`;
    await isProblem(t, await raw(url, [twice, png]), 'invalid-budget');
  });

  await t.test('a budget that nothing can meet: the nearest values can be met', async (t) => {
    for (const budget of ['cost=0.1', 'flops=1000', 'accuracy=0.999', 'latency=0.001', 'cost=0.5, accuracy=0.8']) {
      const { nearest } = await isProblem(
        t,
        await classify(url, png, { 'Inference-Budget': budget }),
        'infeasible-budget',
      );
      for (const [member, value] of Object.entries(nearest ?? {})) {
        if (member === 'latency') continue; // holds on an idle host, which a test cannot promise
        const response = await classify(url, png, { 'Inference-Budget': `${budget}, ${member}=${value}` });
        t.equal(response.status, 200, `${budget} with ${member}=${value}`);
      }
    }
  });

  await t.test('unknown model, instance, query, path', async (t) => {
    t.same((await isProblem(t, await classify(url, png, {}, '?model=none'), 'unknown-model')).models, ['tiny']);
    const { instances } = await isProblem(t, await classify(url, png, {}, '?instance=p99-r500'), 'unknown-instance');
    t.equal(instances?.length, 7);
    await isProblem(t, await fetch(`${url}/models/none`), 'unknown-model');
    for (const query of ['?top=0', '?top=x', '?topp=3', '?model=', '?model=tiny&model=tiny', '?top=1.5']) {
      await isProblem(t, await classify(url, png, {}, query), 'invalid-request');
    }
    for (const path of ['/nothing', '/classify/x', '/..%2f..%2fetc/passwd', '/models/..%2f..%2fetc%2fpasswd']) {
      const response = await fetch(`${url}${path}`);
      t.equal(response.status, 404, path);
      await isProblem(t, response, path.startsWith('/models/') ? 'unknown-model' : 'not-found');
    }
  });

  await t.test('wrong methods', async (t) => {
    for (const [method, path, allow] of [
      ['GET', '/classify', 'POST'],
      ['PUT', '/classify', 'POST'],
      ['POST', '/models', 'GET, HEAD'],
      ['DELETE', '/models/tiny', 'GET, HEAD'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['POST', '/metrics', 'GET, HEAD'],
    ] as const) {
      const response = await fetch(`${url}${path}`, { method });
      t.equal(response.headers.get('allow'), allow);
      await isProblem(t, response, 'method-not-allowed');
    }
  });

  await t.test('headers that are too large', async (t) => {
    const request = `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`;
    await isProblem(t, await raw(url, [request]), 'headers-too-large');
  });

  await t.test('no HTTP at all, or what of it is not supported (test/corpus/requests.test.ts has more)', async (t) => {
    await isProblem(t, await raw(url, ['hello\r\n\r\n']), 'invalid-request');
    const send = (line: string, header = 'Connection: close') => raw(url, [`${line}\r\nHost: x\r\n${header}\r\n\r\n`]);
    await isProblem(t, await send(`GET /${'x'.repeat(9000)} HTTP/1.1`), 'uri-too-long');
    await isProblem(t, await send('GET /healthz HTTP/1.1', 'Connection: close\r\nExpect: x'), 'expectation-failed');
    await isProblem(t, await send('FOO /healthz HTTP/1.1'), 'not-implemented');
    await isProblem(t, await send('GET /healthz HTTP/2.0'), 'version-not-supported');
  });

  await t.test('a request id is kept if it is harmless', async (t) => {
    const id = async (given: string) =>
      (await fetch(`${url}/healthz`, { headers: { 'X-Request-Id': given } })).headers.get('x-request-id');
    t.equal(await id('abc-123'), 'abc-123');
    t.not(await id('a b"c'), 'a b"c');
  });
});

t.test('several families and no default', async (t) => {
  const models = tinyFamilies(t, ['tiny', 'other']);
  const { url } = await readyApp(t, { MODELS_DIR: models });
  const { models: names } = await isProblem(t, await classify(url, await picture()), 'invalid-request');
  t.same(names, ['other', 'tiny']);
  t.equal((await classify(url, await picture(), {}, '?model=other')).status, 200);
  const { url: defaulted } = await readyApp(t, { MODELS_DIR: models, DEFAULT_MODEL: 'other' });
  t.match(await (await classify(defaulted, await picture())).json(), { model: 'other' });
});

t.test('several families, one of them for photographs', async (t) => {
  const models = tinyFamilies(t, ['tiny', 'imagenet1k']);
  const { url } = await readyApp(t, { MODELS_DIR: models });
  t.match(await (await classify(url, await picture())).json(), { model: 'imagenet1k' }, 'is the default');
  const { url: other } = await readyApp(t, { MODELS_DIR: models, DEFAULT_MODEL: 'tiny' });
  t.match(await (await classify(other, await picture())).json(), { model: 'tiny' }, 'unless another is set');
});

t.test('a slow upload', async (t) => {
  const { app, url } = await readyApp(t, { REQUEST_TIMEOUT_MS: '300' });
  const head = 'POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n';
  await isProblem(t, await raw(url, [head, 'x', 'x'], 50), 'request-timeout');
  const stubborn = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  stubborn.on('error', () => {});
  stubborn.write(head);
  await until(() => app.state.inFlight.size === 1);
  await until(() => app.state.inFlight.size === 0);
  stubborn.destroy();
});

t.test('a key, where keys are required', async (t) => {
  const { url } = await createApp(t, { API_KEYS: 'my-key-0123456789', REQUIRE_API_KEY: 'true' });
  const refused = await classify(url, await picture());
  t.equal(refused.headers.get('www-authenticate'), 'Bearer realm="dimmer"');
  await isProblem(t, refused, 'unauthorized');
});

t.test('a quota, for each key and for all without one', async (t) => {
  const [mine, yours] = ['my-key-0123456789', 'your-key-01234567'];
  const { url } = await readyApp(t, { QUOTA_PER_MINUTE: '2', API_KEYS: `${mine},${yours}` });
  const png = await picture();
  const post = (key?: string) => classify(url, png, key === undefined ? {} : { 'X-Api-Key': key });
  for (let i = 0; i < 2; i++) t.equal((await post(mine)).status, 200);
  const refused = await post(mine);
  t.ok(Number(refused.headers.get('retry-after')) >= 1, 'Retry-After');
  await isProblem(t, refused, 'quota-exceeded');
  t.equal((await post(yours)).status, 200, 'another key has its own');
  t.equal((await post()).status, 200);
  t.equal((await post('invented-0123456789')).status, 200, 'an unknown key counts as none');
  t.equal((await post('another-0123456789')).status, 429);
  t.equal((await fetch(`${url}/models`)).status, 200, 'only pictures count');
  t.match(
    await (await fetch(`${url}/metrics`)).text(),
    /dimmer_requests_total\{status="429",reason="quota-exceeded"\} 2/,
  );
});

t.test('under load', async (t) => {
  const clock = new FakeClock();
  const { app, url, runtime } = await readyApp(t, { MAX_QUEUE: '2', MAX_WAITING_BYTES: '100000' }, { clock });
  const png = await picture();
  const { service } = app.state;
  // 50 ms for every run, as if it had been measured.
  service.latency.run = () => ({ meanMs: 50, highMs: 50, idleMs: 50, cpuMs: 50 });
  runtime.held = true;
  const first = classify(url, png);
  await until(() => runtime.runs.length === 1);

  await t.test('a deadline that the backlog makes impossible', async (t) => {
    await isProblem(t, await classify(url, png, { 'Inference-Budget': 'latency=80' }), 'deadline-unattainable');
  });

  await t.test('a deadline that passes while the picture waits', async (t) => {
    const pending = classify(url, png, { 'Inference-Budget': 'latency=200' });
    await until(() => service.scheduler.queued === 1);
    await clock.pass(200);
    await isProblem(t, await pending, 'deadline-exceeded');
    t.equal(runtime.history.length, 1, 'never run');
  });

  await t.test('a full queue', async (t) => {
    const waiting = [classify(url, png), classify(url, png)];
    await until(() => service.scheduler.stages.decoded === 2);
    await isProblem(t, await classify(url, png), 'overloaded');
    while (runtime.runs.length) {
      runtime.runs[0]?.finish();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const response of await Promise.all([first, ...waiting])) t.equal(response.status, 200);
  });

  await t.test('a form with more pictures than there are places is refused whole', async (t) => {
    const form = new FormData();
    for (let i = 0; i < 3; i++) form.append('image', new Blob([png]));
    await isProblem(t, await classify(url, form), 'overloaded');
    t.equal(service.scheduler.queued, 0);
  });

  await t.test('more bytes than may wait at once', async (t) => {
    await isProblem(t, await classify(url, Buffer.alloc(100_001)), 'image-too-large');
    const upload = (announced: number, sent: number) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write(`POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${announced}\r\n\r\n`);
      socket.write(Buffer.alloc(sent, 1));
      return socket;
    };
    const idle = upload(100_000, 1);
    await until(() => app.state.uploads.heldBytes === 1);
    t.equal((await classify(url, Buffer.alloc(60_000))).status, 415, 'what is announced takes no memory');
    const uploading = upload(100_000, 60_000);
    await until(() => app.state.uploads.heldBytes === 60_001);
    await clock.pass(1000);
    t.equal((await classify(url, Buffer.alloc(60_000))).status, 415, 'the slow one gives way');
    let answer = '';
    for await (const chunk of uploading) {
      answer += chunk;
      if (answer.includes('for longest')) break; // the connection stays until its client has had time to read
    }
    t.match(answer, /^HTTP\/1.1 503 [\s\S]*overloaded[\s\S]*has held most memory for longest/);
    idle.destroy();
    uploading.destroy();
    await until(() => app.state.uploads.heldBytes === 0);
  });
});

t.test('an engine thread that dies under the picture', async (t) => {
  const worker = new URL('../fixtures/dying-worker.ts', import.meta.url);
  const { app, url } = await createApp(
    t,
    {},
    {
      startRuntime: (_, graphs, onThread) =>
        ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs, onThread, worker }),
    },
  );
  await app.start();
  const thirteen = { create: { width: 16, height: 16, channels: 3, background: { r: 13, g: 0, b: 0 } } } as const;
  const { default: sharp } = await import('sharp');
  const { detail } = await isProblem(t, await classify(url, await sharp(thirteen).png().toBuffer()), 'engine-failed');
  t.match(detail, /the log has why/);
  t.notMatch(detail, /thread died|exit|Error/, 'what native code says stays inside');
  await until(() => app.state.service.runtime.alive === 1);
  t.equal((await classify(url, await picture())).status, 200, 'the thread was replaced');
  t.match(await (await fetch(`${url}/metrics`)).text(), /dimmer_engine_thread_events_total\{event="died"\} 1/);
});

t.test('before the service is ready, and while it drains', async (t) => {
  const { app, url } = await createApp(t);
  const png = await picture();
  t.equal((await fetch(`${url}/healthz`)).status, 200, 'alive from the start');
  for (const path of ['/readyz', '/models']) await isProblem(t, await fetch(`${url}${path}`), 'not-ready');
  await isProblem(t, await classify(url, png), 'not-ready');
  await app.start();
  t.equal((await fetch(`${url}/readyz`)).status, 200);
  app.state.draining = true;
  await isProblem(t, await fetch(`${url}/readyz`), 'draining');
  const refused = await classify(url, png);
  t.equal(refused.headers.get('connection'), 'close');
  await isProblem(t, refused, 'draining');
  t.equal((await fetch(`${url}/healthz`)).status, 200, 'still alive');
});

t.test('no family, never ready', async (t) => {
  const { app, url } = await createApp(t, { MODELS_DIR: temporaryFolder(t) });
  await app.start();
  const { detail } = await isProblem(t, await fetch(`${url}/readyz`), 'not-ready');
  t.equal(detail, 'MODELS_DIR holds no family', 'and not where that is');
});

t.test('the text of an unexpected error is not sent to the client', async (t) => {
  const { app, url } = await readyApp(t);
  app.state.service.classifier.classify = () => Promise.reject(new Error('secret: /etc/passwd'));
  const { detail } = await isProblem(t, await classify(url, await picture()), 'internal');
  t.notMatch(detail, 'secret');
});

t.test('a family that cannot be loaded, in the words of the protocol that can ask for it', async (t) => {
  const { app } = await readyApp(t, { ADMIN_PORT: '0', MODELS_WATCH: 'on' });
  const response = await fetch(`${app.adminAddress}/v2/repository/models/tiny/load`, { method: 'POST' });
  t.equal(response.status, 409);
  t.match(await response.json(), { error: /^refused-model: .*expected: .*what to do: / });
  seen.add('refused-model');
});

t.test('every row of the table was provoked', (t) => {
  const missing = ERROR_CODES.filter((code) => !seen.has(code));
  t.same(missing, []);
  t.end();
});
