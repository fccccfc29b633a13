/** Without a collector nothing is sent, and OpenTelemetry is not even loaded. */
import { createRequire } from 'node:module';
import t, { type Test } from 'tap';
import { classify, picture, readyApp } from '../support/app.js';
import { collector } from '../support/collector.js';

const loaded = () =>
  Object.keys(createRequire(import.meta.url).cache).filter((file) =>
    /node_modules\/(@opentelemetry\/(?!api\/)|@fastify\/otel)/.test(file),
  );
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Sends a traced request; returns how much the collector was sent by the time the service has ended. */
async function sentBy(t: Test, environment: Record<string, string>) {
  const { url: address, requests } = await collector(t);
  const { app, url } = await readyApp(
    t,
    Object.fromEntries(Object.entries(environment).map(([k, v]) => [k, v.replace('COLLECTOR', address)])),
  );
  const answer = await classify(url, await picture(), { traceparent: TRACEPARENT });
  t.equal(answer.status, 200);
  await app.close();
  return { sent: requests.length, traced: answer.headers.has('traceresponse') };
}

t.test('without a collector nothing of OpenTelemetry is loaded, and no answer has a trace', async (t) => {
  t.same(await sentBy(t, { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }), { sent: 0, traced: false });
  t.same(loaded(), []);
});

for (const off of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
  t.test(`nor with a collector and ${Object.keys(off)}`, async (t) => {
    const endpoints = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
    for (const endpoint of endpoints) {
      t.same(await sentBy(t, { [endpoint]: 'COLLECTOR', ...off }), { sent: 0, traced: false });
    }
    t.same(loaded(), []);
  });
}

t.test('with one they are, so that the above would be noticed', async (t) => {
  t.same(await sentBy(t, { OTEL_EXPORTER_OTLP_ENDPOINT: 'COLLECTOR' }), { sent: 1, traced: true });
  t.ok(loaded().length > 10);
});
