/** Traces of HTTP requests: their ids in answers and in the log. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { RequestTrace, Tracing } from '../telemetry/tracing.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined if no traces are sent, and for requests that are not traced. */
    trace: RequestTrace | undefined;
  }
}

/** Called before hooks that refuse and routes are added. */
export async function traceRequests(app: FastifyInstance, tracing: Tracing | undefined): Promise<void> {
  app.decorateRequest('trace', undefined);
  if (!tracing) return;
  await tracing.instrument(app, (request, trace) => {
    request.trace = trace;
    // Names of the specification "Trace Context in non-OTLP Log Formats".
    (request.log as Logger).setBindings({ trace_id: trace.traceId, span_id: trace.spanId });
  });
  app.addHook('onRequest', ({ trace }, reply, done) => {
    if (trace) {
      // As a draft of the next level of W3C Trace Context has it (https://w3c.github.io/trace-context/#traceresponse-header),
      // so that a client without a trace of its own can name the one it got.
      reply.header('traceresponse', trace.text);
      if (trace.sampled) reply.raw.once('close', () => endWithoutAnswer(trace));
    }
    done();
  });
}

/** For a request whose answer was not sent; otherwise the span has ended with that. */
function endWithoutAnswer(trace: RequestTrace): void {
  trace.set({ 'dimmer.problem': 'client-gone' });
  trace.end();
}

/** Names the problem with which a request is refused. */
export function traceRefusal(trace: RequestTrace | undefined, code: string, status: number): void {
  trace?.set({ 'dimmer.problem': code, ...(status >= 500 && { 'error.type': code }) });
}
