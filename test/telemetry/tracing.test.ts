/** Traces of requests, as a collector sees them. */
import { pino } from 'pino';
import t from 'tap';
import { classify, createApp, picture as encoded, readyApp, until } from '../support/app.js';
import { collector, type Span } from '../support/collector.js';

// Read by the library itself when a service starts: what waits is sent at once.
process.env.OTEL_BSP_SCHEDULE_DELAY = '1';

const CLIENT = 'b7ad6b7169203331';
const KEY = 's3cr3t-key-of-a-client';
let traces = 0;
/** A trace that no other test has. */
const newTrace = () => (++traces).toString(16).padStart(32, '0');
const parent = (trace: string, flags = '01') => ({ traceparent: `00-${trace}-${CLIENT}-${flags}` });

const lines: Record<string, unknown>[] = [];
const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
const { url: endpoint, spans, of } = await collector(t);
/** A service on a fake runtime, for all tests below; it sends its traces to that collector. */
const { app, url, runtime } = await readyApp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, API_KEYS: KEY }, { logger });
const png = await encoded();

const named = (all: readonly Span[], name: string) => all.filter((s) => s.name === name);
const ofServer = (all: readonly Span[]) => all.find((s) => s.kind === 2) as Span;
const idOf = (answer: Response) => answer.headers.get('traceresponse')?.split('-')[1] as string;
const problemOf = async (answer: Response) => `${answer.status} ${((await answer.json()) as { type: string }).type}`;

/** The spans of a trace, once that of the request has come, which is the last. */
async function sentOf(trace: string): Promise<Span[]> {
  await until(() => ofServer(of(trace)) !== undefined);
  return of(trace);
}

t.test('one trace leads from the client to the network in its thread, and to the decode in its process', async (t) => {
  const trace = newTrace();
  const real = await createApp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: 'pictures' });
  await real.app.start();
  const beforeMs = Date.now();
  const answer = await classify(real.url, png, { ...parent(trace), 'Inference-Budget': 'cost=0.5' }, '?top=1');
  const { results, modelVersion } = (await answer.json()) as {
    modelVersion: string;
    results: { reason: string; batchSize: number; model_instance: { id: string }; cost: Record<string, number> }[];
  };
  const [result] = results;
  await real.app.close();
  const afterMs = Date.now();

  const sent = of(trace);
  t.same(sent.map((s) => s.name).sort(), ['POST /classify', 'decode', 'infer', 'queue', 'queue', 'receive']);
  const server = ofServer(sent);
  const parts = sent.filter((s) => s !== server).sort((a, b) => Number(a.start - b.start || a.end - b.end));
  t.equal(answer.headers.get('traceresponse'), `00-${trace}-${server.spanId}-01`);
  t.equal(server.parentId, CLIENT, 'below the span of the client');
  for (const span of parts) t.equal(span.parentId, server.spanId, span.name);
  t.match(server.attributes, {
    'http.request.method': 'POST',
    'http.route': '/classify',
    'http.response.status_code': 200,
    'url.path': '/classify',
    'url.scheme': 'http',
    'dimmer.model': 'tiny',
    'dimmer.model_version': modelVersion,
    'dimmer.budget.cost': 0.5,
    'dimmer.budget.strict': true,
    'dimmer.budget.met': true,
    'dimmer.reason': result?.reason,
  });
  t.match(named(sent, 'infer')[0]?.attributes, {
    'dimmer.instance': result?.model_instance.id,
    'dimmer.batch.size': result?.batchSize,
    'dimmer.cost.flops': result?.cost.flops,
  });
  t.equal(server.status, 0);
  t.match(server.resource, { 'service.name': 'pictures', 'telemetry.sdk.language': 'nodejs' });

  const ns = (ms: number) => BigInt(ms) * 1_000_000n;
  /** What is lost when ms become ns. */
  const rounding = 1000n;
  t.ok(server.start >= ns(beforeMs) && server.end <= ns(afterMs + 1), 'times are those of the host');
  t.same(
    parts.map((s) => s.name),
    ['receive', 'queue', 'decode', 'queue', 'infer'],
  );
  for (const [n, span] of parts.entries()) {
    t.ok(span.start >= server.start - rounding && span.end <= server.end + rounding, `${span.name} is in the request`);
    t.ok(n === 0 || span.start >= (parts[n - 1] as Span).end - rounding, `${span.name} follows what is before it`);
  }
});

t.test('each request of a batch has its own spans, and so has each picture of a request', async (t) => {
  const [one, other, both] = [newTrace(), newTrace(), newTrace()];
  runtime.held = true;
  const first = classify(url, png); // keeps the only thread busy until the others wait together
  await until(() => runtime.runs.length === 1);
  const asked = [first, classify(url, png, parent(one)), classify(url, png, parent(other))];
  await until(() => app.state.service.scheduler.stages.decoded === 2);
  runtime.held = false;
  runtime.runs[0]?.finish();
  t.same(
    (await Promise.all(asked)).map((a) => a.status),
    [200, 200, 200],
  );
  const infers = [...named(await sentOf(one), 'infer'), ...named(await sentOf(other), 'infer')];
  t.same(
    infers.map((s) => s.attributes['dimmer.batch.size']),
    [2, 2],
  );
  t.equal(new Set(infers.map((s) => s.attributes['dimmer.batch.id'])).size, 1, 'of the same batch');

  const form = new FormData();
  for (const name of ['a', 'b']) form.append('image', new Blob([png]), name);
  await classify(url, form, parent(both));
  const sent = await sentOf(both);
  for (const name of ['decode', 'infer']) {
    t.same(
      named(sent, name).map((s) => s.attributes['dimmer.image']),
      [0, 1],
      name,
    );
  }
});

t.test('a request without a trace, or with one that is not valid, begins a new one', async (t) => {
  const trace = newTrace();
  const { traceparent } = parent(trace);
  for (const wrong of [
    '',
    'x',
    `00-${'0'.repeat(32)}-${CLIENT}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.slice(1)}A-${CLIENT}-01`,
    `ff-${trace}-${CLIENT}-01`,
    `${traceparent}-more`,
    `${traceparent}, ${traceparent}`,
    `${traceparent}${'a'.repeat(4000)}`,
  ]) {
    const answer = await classify(url, png, { traceparent: wrong });
    t.equal(answer.status, 200, wrong);
    t.not(idOf(answer), trace, wrong);
    t.equal(ofServer(await sentOf(idOf(answer))).parentId, '', wrong);
  }
  t.equal(ofServer(await sentOf(idOf(await classify(url, png)))).parentId, '');
  t.same(of(trace), []);
  const later = `cc-${trace}-${CLIENT}-01-what-the-future-brings`;
  t.equal(
    idOf(await classify(url, png, { traceparent: later })),
    trace,
    'a later version is read as far as it is known',
  );
});

t.test('a request whose sender does not trace it is not traced, and its answer says so', async (t) => {
  const trace = newTrace();
  const answer = await classify(url, png, parent(trace, '00'));
  t.match(answer.headers.get('traceresponse'), new RegExp(`^00-${trace}-[\\da-f]{16}-00$`));
  await sentOf(idOf(await classify(url, png)));
  t.same(of(trace), []);
});

t.test('a refusal is named, with how far its picture came; only 5xx is an error', async (t) => {
  const stages = (all: readonly Span[]) => all.filter((s) => s.kind !== 2).map((s) => `${s.name} ${s.status}`);
  const early = await sentOf(idOf(await classify(url, png, { 'Inference-Budget': 'cost=0.001' })));
  t.match(ofServer(early), {
    status: 0,
    message: '',
    attributes: {
      'http.response.status_code': 422,
      'dimmer.problem': 'infeasible-budget',
      'dimmer.budget.cost': 0.001,
      'dimmer.model': 'tiny',
    },
  });
  t.same(stages(early), []);

  const damaged = await sentOf(idOf(await classify(url, png.subarray(0, 60))));
  t.match(ofServer(damaged), { status: 0, attributes: { 'dimmer.problem': 'invalid-image' } });
  t.same(stages(damaged), ['receive 0', 'queue 0', 'decode 2']);

  runtime.held = true;
  const answer = classify(url, png);
  await until(() => runtime.runs.length === 1);
  runtime.runs[0]?.fail(new Error('of the inside'));
  runtime.held = false;
  const failed = await sentOf(idOf(await answer));
  t.match(ofServer(failed), { status: 2, message: '', attributes: { 'error.type': 'internal' } });
  t.equal(stages(failed).at(-1), 'infer 2');
});

t.test('a client that leaves ends its trace', async (t) => {
  const trace = newTrace();
  runtime.held = true;
  const leaving = new AbortController();
  const { signal } = leaving;
  const asked = fetch(`${url}/classify`, { method: 'POST', body: png, headers: parent(trace), signal });
  await until(() => runtime.runs.length === 1);
  leaving.abort();
  await t.rejects(asked);
  const { attributes } = ofServer(await sentOf(trace));
  runtime.runs[0]?.finish();
  runtime.held = false;
  t.equal(attributes['dimmer.problem'], 'client-gone');
  t.notOk('http.response.status_code' in attributes);
});

t.test('what balancers and scrapers ask for is not traced; what is posted to no path is', async (t) => {
  const trace = newTrace();
  for (const path of ['/healthz', '/readyz', '/metrics', '/models', '/', '/docs/', '/nothing']) {
    const answer = await fetch(url + path, { headers: parent(trace) });
    t.notOk(answer.headers.has('traceresponse'), path);
  }
  for (const [path, name, problem] of [
    ['/nothing', 'POST', 'not-found'],
    ['/models', 'POST /models', 'method-not-allowed'],
  ] as const) {
    const answer = await fetch(url + path, { method: 'POST' });
    const server = ofServer(await sentOf(idOf(answer)));
    t.equal(server.name, name);
    t.match(server.attributes, { 'http.response.status_code': answer.status, 'dimmer.problem': problem });
    t.match(await problemOf(answer), problem);
  }
  t.same(of(trace), []);
});

t.test('attributes have no query, no key and nothing of the picture or its form', async (t) => {
  const first = spans.length;
  const headers = {
    'X-Api-Key': KEY,
    Authorization: 'Bearer s3cr3t',
    Cookie: 's3cr3t=1',
    'User-Agent': 's3cr3t',
  };
  const form = (name: string) => {
    const parts = new FormData();
    parts.append(name, new Blob(['s3cr3t']), 's3cr3t.png');
    return parts;
  };
  let last = await classify(url, png, headers);
  for (const body of [png, Buffer.from('s3cr3t'), form('image'), form('s3cr3t')]) {
    for (const [query, budget] of [
      ['?top=1&model=s3cr3t', 'cost=0.5'],
      ['?s3cr3t=1', 'cost=0.5'],
      ['', 's3cr3t=1'],
      ['', 'cost=0.5'],
    ])
      last = await classify(url, body, { ...headers, 'Inference-Budget': budget as string }, query);
  }
  t.equal(last.status, 400);
  const long = await fetch(`${url}/${'a'.repeat(6000)}?s3cr3t`, { method: 'POST', headers });
  await sentOf(idOf(last));
  await sentOf(idOf(long));
  const sent = spans.slice(first);
  t.equal(named(sent, 'POST /classify').length, 17);
  const text = JSON.stringify(sent, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  t.notMatch(text, 's3cr3t');
  t.notMatch(text, 'a'.repeat(300), 'nor thousands of characters of a path');
});

t.test('the log names the trace of a request', async (t) => {
  const trace = newTrace();
  const answer = await classify(url, png, { ...parent(trace), 'X-Request-Id': 'this-one' });
  await until(() => lines.some((l) => l.requestId === 'this-one'));
  t.match(
    lines.find((l) => l.requestId === 'this-one'),
    { msg: 'answered', trace_id: trace, span_id: answer.headers.get('traceresponse')?.split('-')[2] },
  );
});

t.test('the histogram of latency has exemplars, for scrapers that know the format', async (t) => {
  const trace = newTrace();
  const { spanId } = ofServer(await sentOf(idOf(await classify(url, png, parent(trace), '?instance=p01-r500'))));
  const get = async (accept: string) => {
    const response = await fetch(`${url}/metrics`, { headers: { accept } });
    return { type: response.headers.get('content-type'), text: await response.text() };
  };
  const prometheus =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
  const open = await get(prometheus);
  t.equal(open.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  t.match(
    open.text,
    new RegExp(`^dimmer_total_seconds_bucket\\{.* # \\{trace_id="${trace}",span_id="${spanId}"\\} `, 'm'),
  );
  t.match(open.text, /^# TYPE dimmer_requests counter$/m);
  t.match(open.text, /^dimmer_requests_total\{status="200",reason="ok"\} \d+$/m);
  t.ok(open.text.endsWith('\n# EOF\n'));
  for (const accept of ['*/*', 'text/html', `text/plain,${prometheus}`, 'application/openmetrics-text;q=0,*/*']) {
    const plain = await get(accept);
    t.match(plain.type, /^text\/plain; version=0\.0\.4/, accept);
    t.match(plain.text, /^# TYPE dimmer_requests_total counter$/m, 'under the name it always had');
    t.match(plain.text, /^dimmer_requests_total\{status="200",reason="ok"\} \d+$/m);
    t.notMatch(plain.text, 'trace_id');
  }
});
