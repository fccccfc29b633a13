/**
 * Traces, as the rest of the service sees them. OpenTelemetry is in otel.ts, which takes time and memory, and is loaded
 * only if traces are sent.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { tracesUrl } from '../otel-config.js';
import type { Metrics } from './metrics.js';

/** Attributes of a span. Never a picture, a key, or a query. */
export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

/** A part of a request, in the clock's ms. */
export interface Part {
  readonly startMs: number;
  readonly endMs: number;
  readonly facts?: Facts;
  readonly failed?: boolean;
}

/** The trace of one request: the span of the request, and below it the spans of its parts. */
export interface RequestTrace {
  readonly traceId: string;
  /** Of the span of the request. */
  readonly spanId: string;
  /** Version, trace, span and flags, as in W3C Trace Context: `00-<trace>-<span>-01`. */
  readonly text: string;
  /** Whether the sampler has chosen this request. If not, the methods do nothing. */
  readonly sampled: boolean;
  /** When the span of the request began, in the clock's ms. */
  readonly startMs: number;
  /** Adds attributes to the span of the request, unless that has ended. */
  set(facts: Facts): void;
  /** Adds the span of a part that is over, wherever it ran. */
  add(name: string, part: Part): void;
  /** Ends the span of the request, unless it has ended. */
  end(how?: { readonly failed: boolean }): void;
}

/** Headers of HTTP or metadata of gRPC, by names in lower case. */
export type Carrier = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface Tracing {
  /**
   * Traces the POST requests of a server of Fastify from their head to their answer; called before its routes are
   * added. begin: called with each request and its trace.
   */
  instrument(app: FastifyInstance, begin: (request: FastifyRequest, trace: RequestTrace) => void): Promise<void>;
  /**
   * Begins the span of a request that came another way, such as a call of gRPC; the caller ends it. carrier: where
   * `traceparent` and `tracestate` of its sender are, if it sent any. name: `<package.Service>/<Method>` for gRPC.
   */
  begin(name: string, carrier: Carrier, facts?: Facts): RequestTrace;
  /** Sends what waits, for a limited time, and stops. leftMs: how long the caller can wait. */
  close(leftMs: number): Promise<void>;
}

export interface TracingParts {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** ms of the service's clock. */
  now(): number;
}

/** Undefined if no traces are sent. */
export async function startTracing(parts: TracingParts): Promise<Tracing | undefined> {
  const url = tracesUrl(parts.config);
  if (url === undefined) return undefined;
  const { OpenTelemetry } = await import('./otel.js');
  parts.logger.info({ url, sampler: parts.config.OTEL_TRACES_SAMPLER }, 'traces are sent');
  return new OpenTelemetry(url, parts);
}
