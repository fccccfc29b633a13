/** What the service tells its collector, and what happens when that is slow or away. */
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { readConfig } from '../../src/config.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { startTracing, type Tracing } from '../../src/telemetry/tracing.js';
import { classify, picture, readyApp, until } from '../support/app.js';
import { collector } from '../support/collector.js';

// Read by the library itself: what waits is sent at once in small batches, few spans wait, one attempt takes a moment.
Object.assign(process.env, {
  OTEL_BSP_SCHEDULE_DELAY: '1',
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '4',
  OTEL_BSP_MAX_QUEUE_SIZE: '16',
  OTEL_EXPORTER_OTLP_TIMEOUT: '100',
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const from = (flags: string) => ({ traceparent: `00-${TRACE}-b7ad6b7169203331-${flags}` });

/** Traces without a service. */
async function tracing(environment: Record<string, string>) {
  const metrics = createMetrics({ ofProcess: false });
  const lines: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
  const config = readConfig(environment);
  const started = (await startTracing({ config, metrics, logger, now: () => performance.now() })) as Tracing;
  const count = async (event: string) => {
    const { values } = await metrics.spans.get();
    return values.find((v) => v.labels.event === event)?.value ?? 0;
  };
  return { tracing: started, lines, count };
}

t.test('a call that comes another way than HTTP is traced by its metadata', async (t) => {
  const { url, of } = await collector(t);
  const { tracing: traces, count } = await tracing({ OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/` });
  const call = traces.begin('inference.GRPCInferenceService/ModelInfer', from('01'), { 'rpc.system': 'grpc' });
  call.set({ 'dimmer.model': 'tiny' });
  call.add('infer', { startMs: call.startMs, endMs: call.startMs + 2 });
  call.end({ failed: true });
  call.set({ 'dimmer.model': 'too late' });
  call.end();
  await traces.close(1000);
  const [infer, server] = of(TRACE);
  t.match(server, {
    name: 'inference.GRPCInferenceService/ModelInfer',
    parentId: 'b7ad6b7169203331',
    spanId: call.spanId,
    kind: 2,
    status: 2,
    attributes: { 'rpc.system': 'grpc', 'dimmer.model': 'tiny' },
  });
  t.match(infer, { name: 'infer', parentId: call.spanId, kind: 1, status: 0 });
  const ms = Number((infer?.end ?? 0n) - (infer?.start ?? 0n)) / 1e6;
  t.ok(Math.abs(ms - 2) < 0.01, `${ms} ms`);
  t.equal(await count('sent'), 2);
});

t.test('the sampler decides, and by default the sender of a trace', async (t) => {
  const sampled = async (
    sampler: string | undefined,
    argument: string | undefined,
    headers: Record<string, string>,
  ) => {
    const { tracing: traces } = await tracing({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_TRACES_SAMPLER: sampler ?? '',
      OTEL_TRACES_SAMPLER_ARG: argument ?? '',
    });
    return traces.begin('x', headers).sampled;
  };
  const [none, no, yes] = [{}, from('00'), from('01')];
  for (const [sampler, argument, headers, expected] of [
    [undefined, undefined, none, true],
    [undefined, undefined, no, false],
    [undefined, undefined, yes, true],
    ['always_on', undefined, no, true],
    ['always_off', undefined, yes, false],
    ['traceidratio', undefined, no, true],
    ['traceidratio', '0', yes, false],
    ['parentbased_always_on', undefined, no, false],
    ['parentbased_always_off', undefined, none, false],
    ['parentbased_always_off', undefined, yes, true],
    ['parentbased_traceidratio', '0', none, false],
    ['parentbased_traceidratio', '1', none, true],
    ['parentbased_traceidratio', '0', yes, true],
  ] as const) {
    t.equal(await sampled(sampler, argument, headers), expected, `${sampler} ${argument} ${JSON.stringify(headers)}`);
  }
});

t.test('a collector gets its headers, at the address for traces, and learns who sends', async (t) => {
  const { url, requests, spans } = await collector(t);
  process.env.OTEL_RESOURCE_ATTRIBUTES = 'deployment.environment.name=test,service.name=another';
  t.teardown(() => delete process.env.OTEL_RESOURCE_ATTRIBUTES);
  for (const name of ['', 'pictures']) {
    const { tracing: traces } = await tracing({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/tenant/traces`,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b,x-more=c',
      OTEL_SERVICE_NAME: name,
    });
    traces.begin('x', {}).end();
    await traces.close(1000);
  }
  const headers = { 'content-type': 'application/x-protobuf', 'x-key': 'a b', 'x-more': 'c' };
  t.match(requests, [
    { path: '/tenant/traces', headers },
    { path: '/tenant/traces', headers },
  ]);
  t.same(
    spans.map((s) => s.resource['service.name']),
    ['another', 'pictures'],
  );
  t.match(spans[0]?.resource, { 'deployment.environment.name': 'test', 'service.version': /^\d/ });
});

/** Endpoints that take nothing. */
async function useless(t: Test): Promise<Record<string, string>> {
  const silent = await collector(t, () => {});
  const broken = await collector(t, (response) => response.writeHead(500).end('no'));
  return {
    'refuses connections': 'http://127.0.0.1:9',
    'does not answer': silent.url,
    'answers with errors': broken.url,
  };
}

t.test('spans that a collector does not take are bounded and counted, and the log says it once', async (t) => {
  for (const [what, url] of Object.entries(await useless(t))) {
    const { tracing: traces, count, lines } = await tracing({ OTEL_EXPORTER_OTLP_ENDPOINT: url });
    for (let n = 0; n < 100; n++) traces.begin('x', {}).end();
    // One batch is under way and 16 wait.
    t.equal(await count('dropped'), 80, what);
    await until(() => lines.length > 0);
    const startMs = performance.now();
    await traces.close(1000);
    t.ok(performance.now() - startMs < 5000, 'it ends all the same');
    const [failed, sent] = [await count('failed'), await count('sent')];
    t.equal(sent, 0);
    t.ok(failed > 0 && failed <= 20, `${what}: ${failed} failed`);
    t.equal(lines.filter((l) => /traces could not be sent/.test(l)).length, 1);
  }
});

t.test('no request is the worse for it', async (t) => {
  const png = await picture();
  const silent = await collector(t, () => {});
  const { app, url } = await readyApp(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: silent.url,
    DRAIN_DELAY_MS: '0',
    DRAIN_TIMEOUT_MS: '1000',
  });
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(Array.from({ length: 8 }, () => classify(url, png)));
    t.same(
      answers.map((a) => a.status),
      answers.map(() => 200),
    );
  }
  t.match(await (await fetch(`${url}/metrics`)).text(), /^dimmer_trace_spans_total\{event="dropped"\} \d\d+$/m);
  await app.close();
});
