/** Common to all routes that classify: accepting a request, reporting its answer, and handling its failure. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import { serializeDictionary } from 'structured-headers';
import type { Ask, Classification, Classifier, Result } from '../classify.js';
import { DimmerError } from '../errors.js';
import type { Answered } from '../telemetry/live.js';
import { toDimmerError } from './problem.js';
import type { State } from './state.js';
import { ClientGone } from './uploads.js';

/**
 * Status (499, as in nginx) and reason, in metrics, of requests whose client closed the connection before the answer.
 */
const GONE = [499, 'client-gone'] as const;

/**
 * Media types that Fastify can parse. A request with any other Content-Type is treated as one without, because the
 * format of a picture is recognised by its bytes.
 */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;|$)/;

export function allowAnyMediaType(headers: IncomingHttpHeaders): void {
  if (!MEDIA_TYPE.test(headers['content-type'] ?? '')) delete headers['content-type'];
}

/**
 * Checks Content-Length before the body is read. Raises DimmerError image-too-large. limits: the settings that `most`
 * comes from.
 */
export function assertLength({ headers }: FastifyRequest, most: number, limits: string): void {
  const announced = Number(headers['content-length'] ?? Number.NaN);
  if (!(announced > most)) return;
  throw new DimmerError('image-too-large', {
    detail: `the body has ${announced} bytes`,
    expected: `at most ${most} bytes (${limits})`,
    action: 'make the pictures smaller, or send them in several requests',
  });
}

/** Counts the request until it is answered, and returns the classifier. Raises DimmerError not-ready or draining. */
export function begin(state: State, reply: FastifyReply): Classifier {
  reply.raw.once('close', state.inFlight.begin());
  state.assertReady();
  return state.service.classifier;
}

/**
 * A signal that aborts when the client closes the connection before its answer is sent. Not request.signal, which aborts
 * as soon as the body is read (fastify#6725).
 */
export function leaving(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new ClientGone('the client closed the connection'));
  });
  return gone.signal;
}

export function budgetText({ headers }: FastifyRequest): string | undefined {
  const header = headers['inference-budget'];
  return Array.isArray(header) ? header.join(', ') : header;
}

/** Reports an answer to metrics, log and /live, and adds the headers that say what it cost. */
export function answered(
  state: State,
  request: FastifyRequest,
  reply: FastifyReply,
  ask: Ask,
  answer: Classification,
): void {
  state.metrics.requests.inc({ status: 200, reason: 'ok' });
  state.live.answered(() => answeredFacts(answer, ask));
  reply.header('Server-Timing', serverTiming(answer.results)).header('Inference-Cost', inferenceCost(answer.results));
  request.log.info(logFacts(answer), 'answered');
}

/**
 * The error handler of a route that classifies: reports the refusal to metrics, log and /live.
 *
 * promisedMs: the latency, in ms, that a request asked for; undefined if it had none or none that could be read.
 */
export function failing(
  state: State,
  promisedMs: (request: FastifyRequest) => number | undefined,
): NonNullable<RouteShorthandOptions['errorHandler']> {
  return (error, request, reply) => {
    const { code } = toDimmerError(error);
    whenClosed(reply.raw, () => {
      const [status, reason] = reply.raw.writableFinished ? [reply.statusCode, code] : GONE;
      state.metrics.requests.inc({ status, reason });
      // A refusal counts as a broken promise only if the client did not cause it (4xx).
      if (reason !== 'client-gone')
        state.live.refused(() => (Number(status) >= 500 && state.running ? promisedMs(request) : undefined));
      if (reason === 'client-gone') request.log.info({ reason }, 'client gone');
    });
    if (error instanceof ClientGone) return reply.hijack();
    throw error; // to the application's error handler (answer-problem.ts)
  };
}

/** Calls back once the response is closed, sent completely or not; at once if it is closed already. */
function whenClosed(response: ServerResponse, callback: () => void): void {
  if (response.closed) callback();
  else response.once('close', callback);
}

function serverTiming(results: readonly Result[]): string {
  const longest = (stage: keyof Result['timing']) => Math.max(...results.map((r) => r.timing[stage]));
  const stages = { decode: 'decodeMs', queue: 'queueMs', infer: 'inferenceMs', total: 'totalMs' } as const;
  return Object.entries(stages)
    .map(([name, stage]) => `${name};dur=${longest(stage)}`)
    .join(', ');
}

/** The header Inference-Cost: sums over the pictures, as a structured field, in which decimals have three digits. */
function inferenceCost(results: readonly Result[]): string {
  const total = (of: (r: Result) => number) => results.map(of).reduce((a, b) => a + b, 0);
  const instances = [...new Set(results.map((r) => r.model_instance.id))];
  return serializeDictionary(
    new Map<string, never>([
      ['flops', [total((r) => r.cost.flops), new Map()] as never],
      ['share', [Number(total((r) => r.cost.share).toFixed(3)), new Map()] as never],
      ['instances', [instances.map((id) => [id, new Map()]), new Map()] as never],
    ]),
  );
}

function answeredFacts({ model, budget, results }: Classification, { served }: Ask): Answered {
  return {
    model,
    pictures: results.map(({ model_instance: { id }, cost }) => {
      return { instance: id, accuracy: served.instance(id).accuracy, share: cost.share };
    }),
    totalMs: Math.max(...results.map((r) => r.timing.totalMs)),
    promisedMs: budget.latency,
  };
}

function logFacts({ model, modelVersion, budget, results }: Classification) {
  const pictures = results.map((r) => ({
    instance: r.model_instance.id,
    flops: r.cost.flops,
    batchSize: r.batchSize,
    ...r.timing,
  }));
  return { model, modelVersion, budget, pictures };
}
