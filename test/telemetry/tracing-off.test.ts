/** Where no traces are sent, OpenTelemetry is not even loaded. */
import { createRequire } from 'node:module';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { readConfig } from '../../src/config.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { startTracing } from '../../src/telemetry/tracing.js';
import { classify, picture, readyApp } from '../support/app.js';
import { collector } from '../support/collector.js';

const loaded = () =>
  Object.keys(createRequire(import.meta.url).cache).filter((file) =>
    /node_modules\/(@opentelemetry\/(?!api\/)|@fastify\/otel)/.test(file),
  );
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';

/** Whether a service with these settings answers with a trace. It has ended then, so that everything is sent. */
async function answersWithTrace(t: Test, environment: Record<string, string>): Promise<boolean> {
  const { app, url } = await readyApp(t, environment);
  const answer = await classify(url, await picture(), { traceparent: TRACEPARENT });
  t.equal(answer.status, 200);
  await app.close();
  return answer.headers.has('traceresponse');
}

t.test('without a collector nothing is loaded, and no answer has a trace', async (t) => {
  t.equal(await answersWithTrace(t, { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }), false);
  t.same(loaded(), []);
});

t.test('nor with a collector, if that is switched off', async (t) => {
  const parts = { metrics: createMetrics({ ofProcess: false }), logger: pino({ level: 'silent' }), now: () => 0 };
  for (const endpoint of [ENDPOINT, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
    for (const off of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
      const config = readConfig({ [endpoint]: 'http://127.0.0.1:9', ...off });
      t.equal(await startTracing({ ...parts, config }), undefined);
    }
  }
  t.same(loaded(), []);
});

t.test('with one, what waits at the end is sent; and the above would be noticed', async (t) => {
  const { url, spans } = await collector(t);
  t.equal(await answersWithTrace(t, { [ENDPOINT]: url }), true);
  t.equal(spans.length, 6);
  t.ok(loaded().length > 10);
});

t.test('an address that cannot be used ends the start, and its password is not told', (t) => {
  for (const wrong of [
    'collector',
    'localhost:4318',
    'grpc://localhost:4317',
    'http://',
    'http://me:s3cr3t@localhost',
  ]) {
    const failure = t.throws(() => readConfig({ [ENDPOINT]: wrong }), { name: 'StartError' }) as Error;
    t.match(failure.message, ENDPOINT, wrong);
    t.notMatch(failure.message, 's3cr3t');
  }
  t.throws(() => readConfig({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), { message: /http\/protobuf/ });
  t.throws(() => readConfig({ OTEL_TRACES_SAMPLER: 'some' }), { message: /parentbased_traceidratio/ });
  t.end();
});
