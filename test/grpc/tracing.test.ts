/** Traces of calls over gRPC and of requests under /v2, as a collector sees them. */
import t from 'tap';
import { until } from '../support/app.js';
import { collector, type Span } from '../support/collector.js';
import { grpcApp, rawImage } from '../support/grpc.js';
import { pixels } from '../support/v2.js';

// Read by the library itself when a service starts: what waits is sent at once.
process.env.OTEL_BSP_SCHEDULE_DELAY = '1';

const CLIENT = 'b7ad6b7169203331';
let traces = 0;
/** A trace that no other test has. */
const newTrace = () => (++traces).toString(16).padStart(32, '0');
const parent = (trace: string) => ({ traceparent: `00-${trace}-${CLIENT}-01` });

const { url: endpoint, of } = await collector(t);
const { app, url, caller } = await grpcApp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });

const ofServer = (all: readonly Span[]) => all.find((s) => s.kind === 2) as Span;

/** The spans of a trace, once that of the request has come, which is the last. */
async function sentOf(trace: string): Promise<Span[]> {
  await until(() => ofServer(of(trace)) !== undefined);
  return of(trace);
}
/** The parts of a request, in order. */
const partsOf = (spans: readonly Span[]) =>
  spans
    .filter((s) => s.kind !== 2)
    .sort((a, b) => Number(a.start - b.start || a.end - b.end))
    .map((s) => s.name);

t.test('one trace leads from the client of a call to its network', async (t) => {
  const trace = newTrace();
  const { headers, message } = await caller.call('ModelInfer', rawImage(), parent(trace));
  t.equal(message.model_name, 'tiny');
  const spans = await sentOf(trace);
  const server = ofServer(spans);
  t.match(server, { name: 'inference.GRPCInferenceService/ModelInfer', parentId: CLIENT, status: 0 });
  t.match(server.attributes, { 'dimmer.model': 'tiny', 'dimmer.budget.met': true });
  t.same(headers.get('traceresponse'), [`00-${trace}-${server.spanId}-01`]);
  t.ok(partsOf(spans).includes('infer'), partsOf(spans).join());
  for (const span of spans) if (span !== server) t.equal(span.parentId, server.spanId, span.name);
});

t.test('a refused call and a cancelled one say why', async (t) => {
  const [refused, cancelled] = [newTrace(), newTrace()];
  await caller.fail('ModelInfer', { ...rawImage(), model_name: 'none' }, parent(refused));
  t.match(ofServer(await sentOf(refused)).attributes, { 'dimmer.problem': 'unknown-model' });
  const held = await grpcApp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
  held.runtime.held = true;
  const pending = held.caller.begin('ModelInfer', rawImage(), parent(cancelled));
  await until(() => held.runtime.runs.length === 1);
  pending.cancel();
  t.match(ofServer(await sentOf(cancelled)).attributes, { 'dimmer.problem': 'client-gone' });
});

t.test('other calls are not traced', async (t) => {
  const trace = newTrace();
  await caller.call('ServerLive', {}, parent(trace));
  const later = newTrace();
  await caller.call('ModelInfer', rawImage(), parent(later));
  await sentOf(later);
  t.same(of(trace), []);
});

t.test('under /v2 as well', async (t) => {
  const trace = newTrace();
  const data = [...pixels()];
  const body = JSON.stringify({ inputs: [{ name: 'image', shape: [1, 16, 16, 3], datatype: 'UINT8', data }] });
  const answer = await fetch(`${url}/v2/models/tiny/infer`, { method: 'POST', body, headers: parent(trace) });
  t.equal(answer.status, 200);
  const spans = await sentOf(trace);
  t.equal(ofServer(spans).parentId, CLIENT);
  t.ok(partsOf(spans).includes('infer'), partsOf(spans).join());
  t.equal(app.state.inFlight.size, 0);
});
