/** The table from HTTP statuses to gRPC codes: each row of docs/protocols.md by a call that ends so. */
import { readFileSync } from 'node:fs';
import { type ServiceError, status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { DimmerError, type ErrorCode } from '../../src/errors.js';
import { GRPC_CODES } from '../../src/grpc/codes.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { picture, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { byHand, encoded, fileImages, framed, grpcApp, isRefusal, rawImage } from '../support/grpc.js';
import { pixels } from '../support/v2.js';

const HTTP_STATUS = new Set([405, 414, 417, 431, 505]);
const DOCS = readFileSync(new URL('../../docs/protocols.md', import.meta.url), 'utf8');

/** The rows of the table in the docs. */
const ROWS = [...DOCS.matchAll(/^\| (\d{3}) +\| `([A-Z_]+)` +\| (.+?) +\|/gm)].map(([, http, grpc, codes = '']) => ({
  http: Number(http),
  grpc: grpc as keyof typeof status,
  codes: [...codes.matchAll(/`([a-z-]+)`/g)].map((m) => m[1] as ErrorCode),
}));

/** For each error of the table a call that ends with it. */
const ENDINGS: Record<string, (t: Test) => Promise<ServiceError>> = {
  'invalid-request': async (t) => (await grpcApp(t)).caller.fail('ModelInfer', { model_name: 'tiny' }),
  'invalid-budget': async (t) =>
    (await grpcApp(t)).caller.fail('ModelInfer', rawImage(), { 'inference-budget': 'cost=2' }),
  'too-many-images': async (t) => {
    const { caller } = await grpcApp(t, { MAX_IMAGES: '1' });
    return caller.fail('ModelInfer', fileImages([await picture(), await picture()]));
  },
  unauthorized: async (t) => {
    const { caller } = await grpcApp(t, { API_KEYS: 'a-key-of-sixteen-c', REQUIRE_API_KEY: 'true' });
    return caller.fail('ModelInfer', rawImage());
  },
  'unknown-model': async (t) => (await grpcApp(t)).caller.fail('ModelInfer', { ...rawImage(), model_name: 'none' }),
  'image-too-large': async (t) => {
    const { caller } = await grpcApp(t, { MAX_REQUEST_BYTES: '1000' });
    return caller.fail('ModelInfer', fileImages([Buffer.alloc(2000)]));
  },
  'unsupported-media': async (t) => (await grpcApp(t)).caller.fail('ModelInfer', fileImages([Buffer.from('text')])),
  'invalid-image': async (t) =>
    (await grpcApp(t)).caller.fail('ModelInfer', fileImages([(await picture()).subarray(0, 60)])),
  'infeasible-budget': async (t) =>
    (await grpcApp(t)).caller.fail('ModelInfer', rawImage(), { 'inference-budget': 'cost=0.001' }),
  'quota-exceeded': async (t) => {
    const { caller } = await grpcApp(t, { QUOTA_PER_MINUTE: '1' });
    await caller.call('ModelInfer', rawImage());
    return caller.fail('ModelInfer', rawImage());
  },
  'engine-failed': async (t) => {
    const { caller, runtime } = await grpcApp(t);
    runtime.held = true;
    const { answer } = caller.begin('ModelInfer', rawImage());
    await until(() => runtime.runs.length === 1);
    const facts = { detail: 'the thread has died', expected: 'an answer', action: 'try again' };
    runtime.runs[0]?.fail(new DimmerError('engine-failed', facts, new Error('secret')));
    return answer.then(Promise.reject, (error) => error);
  },
  internal: async (t) => {
    const { app, caller } = await grpcApp(t);
    app.state.service.classifier.score = () => Promise.reject(new Error('secret'));
    return caller.fail('ModelInfer', rawImage());
  },
  overloaded: async (t) => {
    const { app, caller, runtime } = await grpcApp(t, { MAX_QUEUE: '1' });
    runtime.held = true;
    caller.begin('ModelInfer', rawImage());
    await until(() => runtime.runs.length === 1);
    caller.begin('ModelInfer', rawImage());
    await until(() => app.state.service.scheduler.queued === 1);
    return caller.fail('ModelInfer', rawImage());
  },
  'deadline-unattainable': async (t) => {
    const { app, caller, runtime } = await grpcApp(t, {}, { clock: new FakeClock() });
    // 50 ms for every run, as if it had been measured.
    app.state.service.latency.run = () => ({ meanMs: 50, highMs: 50, idleMs: 50, cpuMs: 50 }) as never;
    runtime.held = true;
    caller.begin('ModelInfer', rawImage());
    await until(() => runtime.runs.length === 1);
    return caller.fail('ModelInfer', rawImage(), { 'inference-budget': 'latency=80' });
  },
  'not-ready': async (t) => {
    const { caller, runtime } = await grpcApp(t);
    runtime.alive = 0;
    return caller.fail('ModelInfer', rawImage());
  },
  draining: async (t) => {
    const { app, caller } = await grpcApp(t);
    app.state.draining = true;
    return caller.fail('ModelInfer', rawImage());
  },
  'deadline-exceeded': async (t) => {
    const clock = new FakeClock();
    const { app, caller, runtime } = await grpcApp(t, {}, { clock });
    runtime.held = true;
    caller.begin('ModelInfer', rawImage());
    await until(() => runtime.runs.length === 1);
    const { answer } = caller.begin('ModelInfer', rawImage(), { 'inference-budget': 'latency=200' });
    await until(() => app.state.service.scheduler.queued === 1);
    await clock.pass(200);
    return answer.then(Promise.reject, (error) => error);
  },
};

t.test('the docs have the table', (t) => {
  t.same(
    ROWS.map((row) => [row.http, status[row.grpc]]),
    Object.entries(GRPC_CODES).map(([http, grpc]) => [Number(http), grpc]),
  );
  const named = ROWS.flatMap((row) => row.codes);
  t.same(
    Object.entries(PROBLEMS)
      .filter(([, { status }]) => !HTTP_STATUS.has(status))
      .map(([code]) => code)
      .filter((code) => !['unknown-instance', 'not-found', 'refused-model'].includes(code))
      .sort(),
    named.sort(),
    'with every error but those of paths, methods, headers, pinned instances and changes of models',
  );
  t.end();
});

for (const { http, grpc, codes } of ROWS) {
  for (const code of codes) {
    if (code === 'request-timeout' || code === 'not-implemented') continue; // sent by hand below
    t.test(`${http} ${code}: ${grpc}`, async (t) => {
      t.equal(PROBLEMS[code].status, http);
      const error = await (ENDINGS[code] as (t: Test) => Promise<ServiceError>)(t);
      t.equal(status[error.code], grpc);
      t.notMatch(isRefusal(t, error, code), 'secret');
    });
  }
}

t.test('408 request-timeout: a message that comes too slowly', async (t) => {
  const clock = new FakeClock();
  const { app, address } = await grpcApp(t, { REQUEST_TIMEOUT_MS: '1000' }, { clock });
  const { stream, ended } = byHand(t, address);
  stream.write(framed(encoded(rawImage())).subarray(0, 100));
  await until(() => app.state.uploads.heldBytes > 100);
  await clock.pass(1000);
  app.state.uploads.check();
  const { code, text } = await ended;
  t.equal(status[code], 'DEADLINE_EXCEEDED');
  t.match(text, /^request-timeout: .*REQUEST_TIMEOUT_MS/);
  await until(() => app.state.inFlight.size === 0 && app.state.uploads.heldBytes === 0);
});

t.test('501 not-implemented: a compressed message, and what can be read is said', async (t) => {
  const { app, address } = await grpcApp(t);
  const { stream, ended } = byHand(t, address, { 'grpc-encoding': 'gzip' });
  stream.end(framed(encoded(rawImage(pixels())), { isCompressed: true }));
  const { code, text, headers } = await ended;
  t.equal(status[code], 'UNIMPLEMENTED');
  t.match(text, /^not-implemented: the message is compressed/);
  t.equal(headers['grpc-accept-encoding'], 'identity');
  const later = byHand(t, address, { 'grpc-encoding': 'gzip' });
  later.stream.write(framed(encoded(rawImage())));
  t.equal(status[(await later.ended).code], 'UNIMPLEMENTED', 'also if only a later message were');
  const unnamed = byHand(t, address);
  unnamed.stream.end(framed(encoded(rawImage()), { isCompressed: true }));
  t.equal(status[(await unnamed.ended).code], 'UNIMPLEMENTED');
  const plain = byHand(t, address);
  plain.stream.end(framed(encoded(rawImage())));
  t.match((await plain.ended).headers, { 'grpc-status': '0', 'grpc-accept-encoding': 'identity' });
  await until(() => app.state.inFlight.size === 0 && app.state.uploads.heldBytes === 0);
});
