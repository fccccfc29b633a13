/**
 * Traces by OpenTelemetry. No context manager is registered: it would follow every promise of the process
 * (AsyncLocalStorage), and here each request hands its trace on.
 */
import { readFileSync } from 'node:fs';
import { FastifyOtelInstrumentation } from '@fastify/otel';
import {
  type Context,
  defaultTextMapGetter,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { hrTimeToMilliseconds, parseKeyPairsIntoRecord, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { sparingly } from './faults.js';
import { Sending } from './sending.js';
import type { Carrier, Facts, Part, RequestTrace, Tracing, TracingParts } from './tracing.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
/** Characters of a path that are kept: more than any path here has, and clients may send thousands. */
const PATH_CHARS = 200;
/** Least time between two log lines about a collector that takes nothing. */
const COMPLAIN_EACH_MS = 60_000;
/** Time for the last spans at the end: a collector that is there takes less, one that is away never will take them. */
const FLUSH_MS = 2_000;
/** Time for them when draining has used up its own: short, but enough for a collector on the same network. */
const LEAST_FLUSH_MS = 500;

export class OpenTelemetry implements Tracing {
  readonly #provider: BasicTracerProvider;
  readonly #sending: Sending;
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #tracer: Tracer;
  readonly #logger: Logger;
  readonly #now: () => number;

  /** url: where traces are sent. */
  constructor(url: string, { config, metrics, logger, now }: TracingParts) {
    this.#now = now;
    this.#logger = logger;
    const headers = parseKeyPairsIntoRecord(config.OTEL_EXPORTER_OTLP_HEADERS);
    this.#sending = new Sending({
      exporter: new OTLPTraceExporter({ url, headers }), // reads OTEL_EXPORTER_OTLP_* of the environment for the rest
      counted: metrics.spans,
      onFailure: sparingly(COMPLAIN_EACH_MS, now, (error, passedOver) =>
        logger.warn(
          { error: error instanceof Error ? error.message : undefined, passedOver },
          'traces could not be sent',
        ),
      ),
    });
    this.#provider = new BasicTracerProvider({
      resource: resourceOf(config),
      sampler: samplerOf(config),
      spanProcessors: [this.#sending],
    });
    this.#tracer = this.#provider.getTracer('dimmer', version);
  }

  async instrument(app: FastifyInstance, begin: (request: FastifyRequest, trace: RequestTrace) => void): Promise<void> {
    propagation.setGlobalPropagator(this.#propagator); // the plugin takes no other
    const plugin = new FastifyOtelInstrumentation({
      // Only requests with pictures: balancers and scrapers ask for the rest every second, and nobody reads that.
      // method: of a request, or all those of a route.
      ignorePaths: ({ method }: { method: string | string[] }) =>
        typeof method === 'string' ? method !== 'POST' : !method.includes('POST'),
      // A span for each hook and handler would say nothing of pictures.
      instrumentHooks: false,
      instrumentHandler: false,
      recordExceptions: false, // the log has them
      requestHook: (span, request) => {
        const { method, url, protocol, routeOptions } = request;
        span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`);
        // The plugin takes the query for a part of the path.
        span.setAttributes({ 'url.path': pathOf(url), 'url.scheme': protocol });
        begin(request, new OtelTrace(this.#tracer, span, this.#now()));
      },
    });
    plugin.setTracerProvider(this.#provider);
    await app.register(plugin.plugin());
  }

  begin(name: string, carrier: Carrier, facts: Facts = {}): RequestTrace {
    const sender = this.#propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes: facts }, sender);
    return new OtelTrace(this.#tracer, span, this.#now());
  }

  async close(leftMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(FLUSH_MS, Math.max(LEAST_FLUSH_MS, leftMs)));
    });
    await Promise.race([this.#provider.shutdown().catch(() => {}), enough]);
    clearTimeout(timer);
    const spans = this.#sending.unsent;
    if (spans > 0)
      this.#logger.warn({ spans }, 'closed without the last traces: the collector did not take them in time');
  }
}

class OtelTrace implements RequestTrace {
  readonly traceId: string;
  readonly spanId: string;
  readonly text: string;
  readonly sampled: boolean;
  readonly startMs: number;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  /** Unix time of the clock's 0, in ms. From the start of the span, so that its parts lie exactly within it. */
  readonly #originMs: number;

  constructor(tracer: Tracer, span: Span, startMs: number) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceId = traceId;
    this.spanId = spanId;
    this.text = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
    this.sampled = span.isRecording();
    this.startMs = startMs;
    this.#tracer = tracer;
    this.#span = span;
    this.#context = trace.setSpan(ROOT_CONTEXT, span);
    this.#originMs = this.sampled ? hrTimeToMilliseconds((span as Span & ReadableSpan).startTime) - startMs : 0;
  }

  set(facts: Facts): void {
    if (this.#span.isRecording()) this.#span.setAttributes(facts);
  }

  add(name: string, { startMs, endMs, facts = {}, failed = false }: Part): void {
    if (!this.sampled) return;
    const startTime = this.#originMs + startMs;
    const span = this.#tracer.startSpan(name, { startTime, attributes: facts }, this.#context);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(this.#originMs + endMs);
  }

  end({ failed } = { failed: false }): void {
    if (!this.#span.isRecording()) return;
    if (failed) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}

const pathOf = (url: string) => (url.split('?', 1)[0] as string).slice(0, PATH_CHARS);

/** What sends the traces: our defaults, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME; the later ones win. */
function resourceOf({ OTEL_SERVICE_NAME: name }: Config) {
  return defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'dimmer', 'service.version': version }))
    .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] }))
    .merge(name === undefined ? null : resourceFromAttributes({ 'service.name': name }));
}

/** From the settings, which may come from options of the command line: the library would read the environment alone. */
function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio }: Config): Sampler {
  const root = name.endsWith('always_on')
    ? new AlwaysOnSampler()
    : name.endsWith('always_off')
      ? new AlwaysOffSampler()
      : new TraceIdRatioBasedSampler(ratio);
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}
