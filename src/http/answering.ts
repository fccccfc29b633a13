/** Common to all routes that classify: accepting a request, reporting its answer, and handling its failure. */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import type { Ask, Classification, Classifier } from '../classify.js';
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import { toDimmerError } from './problem.js';
import { costHeaders, GONE, reportAnswer, reportFailure } from './reports.js';
import type { State } from './state.js';
import { ClientGone } from './uploads.js';

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
 * A signal that aborts when the client closes the connection before its answer is sent. Not request.signal, which
 * aborts as soon as the body is read (fastify#6725).
 */
export function leaving(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new ClientGone('the client closed the connection'));
  });
  return gone.signal;
}

/** Charges the client of a request for each picture that a network has run. */
export function paying({ access }: State, { client }: FastifyRequest): (instance: Instance) => void {
  return ({ flops }) => client && access.charge(client, flops);
}

export function budgetText({ headers }: FastifyRequest): string | undefined {
  const header = headers['inference-budget'];
  return Array.isArray(header) ? header.join(', ') : header;
}

/** Reports an answer, and adds the headers that say what it cost. */
export function answered(
  state: State,
  request: FastifyRequest,
  reply: FastifyReply,
  ask: Ask,
  answer: Classification,
): void {
  reportAnswer(state, request.log, ask, answer, request.keyName);
  reply.headers(costHeaders(answer));
}

/**
 * The error handler of a route that classifies.
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
      const outcome = reply.raw.writableFinished ? ([reply.statusCode, code] as const) : GONE;
      reportFailure(state, request.log, outcome, () => promisedMs(request));
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
