/** Sends spans in batches. The library does that; here is what it leaves out: counts of lost spans, and a log line. */
import { SpanStatusCode } from '@opentelemetry/api';
import { ExportResultCode, getNumberFromEnv } from '@opentelemetry/core';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { Metrics } from './metrics.js';

/** Spans that wait at most; the default of the specification. */
const MOST_WAITING = 2048;

export interface SendingOptions {
  readonly exporter: SpanExporter;
  readonly counted: Metrics['spans'];
  /** Called when spans could not be sent. */
  onFailure(error: unknown): void;
}

/**
 * The end of every span. A collector that is slow or away makes spans wait; beyond OTEL_BSP_MAX_QUEUE_SIZE they are
 * dropped and counted. Nothing here waits or throws.
 */
export class Sending implements SpanProcessor {
  readonly #counted: Metrics['spans'];
  readonly #batches: BatchSpanProcessor;
  readonly #most = getNumberFromEnv('OTEL_BSP_MAX_QUEUE_SIZE') ?? MOST_WAITING;
  #waiting = 0;
  #underWay = 0;

  constructor({ exporter, counted, onFailure }: SendingOptions) {
    this.#counted = counted;
    const counting: SpanExporter = {
      export: (spans, done) => {
        this.#waiting -= spans.length;
        this.#underWay += spans.length;
        exporter.export(spans, (result) => {
          this.#underWay -= spans.length;
          const sent = result.code === ExportResultCode.SUCCESS;
          counted.inc({ event: sent ? 'sent' : 'failed' }, spans.length);
          if (!sent) onFailure(result.error);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    };
    this.#batches = new BatchSpanProcessor(counting); // reads OTEL_BSP_* of the environment
  }

  /** Spans that the collector has not taken yet. */
  get unsent(): number {
    return this.#waiting + this.#underWay;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= this.#most) {
      this.#counted.inc({ event: 'dropped' });
      return;
    }
    this.#waiting += 1;
    correctStatus(span);
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }
}

/**
 * For each error that a handler throws, @fastify/otel sets the status of the span to the message. By the semantic
 * conventions a refusal (4xx) is no error of a server's span; and messages quote what clients send.
 */
function correctStatus(span: ReadableSpan): void {
  const status = span.attributes['http.response.status_code'];
  if (typeof status !== 'number') return;
  (span as { status: ReadableSpan['status'] }).status = {
    code: status >= 500 ? SpanStatusCode.ERROR : SpanStatusCode.UNSET,
  };
}
