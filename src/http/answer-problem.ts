/** Sends errors as problem+json: as the answer to a request, or as raw bytes where Node made no request object. */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DimmerError } from '../errors.js';
import { PROBLEM_MEDIA, toDimmerError, toProblem } from './problem.js';
import { logRefusal } from './reports.js';
import { traceRefusal } from './tracing.js';
import { ERROR_MEDIA, speaksV2, toV2Error } from './v2/errors.js';

/** Headers of every answer: the id of the request in the log, and that browsers must not guess the content type. */
export const commonHeaders = (requestId: string) => ({
  'X-Request-Id': requestId,
  'X-Content-Type-Options': 'nosniff',
});

/** Answers a request with whatever was thrown, and logs it. */
export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toDimmerError(error);
  const problem = toProblem(known);
  logRefusal(request.log, error, known, request.keyName);
  traceRefusal(request.trace, known.code, problem.status);
  reply.headers(commonHeaders(request.id)); // errors of Fastify itself come before the hook that sets these
  if (known.facts.retryAfterS !== undefined) reply.header('Retry-After', known.facts.retryAfterS);
  // Discards the rest of the body. Unread, it would block the connection, and closing that would lose the answer.
  if (!request.raw.complete) request.raw.unpipe().resume();
  const v2 = speaksV2(request);
  // Sent as bytes, because for a string Fastify adds a charset, which this media type does not have (RFC 9457, 6.1).
  return reply
    .code(problem.status)
    .type(v2 ? ERROR_MEDIA : PROBLEM_MEDIA)
    .send(Buffer.from(JSON.stringify(v2 ? toV2Error(known) : problem)));
}

/**
 * The answer for bytes that never became a request: a complete HTTP/1.1 response with `Connection: close`, and its
 * parts. more: further headers.
 */
export function problemByHand(error: DimmerError, more: Record<string, string> = {}) {
  const problem = toProblem(error);
  const requestId = randomUUID();
  const body = JSON.stringify(problem);
  const headers = {
    'Content-Type': PROBLEM_MEDIA,
    'Content-Length': Buffer.byteLength(body),
    Date: new Date().toUTCString(),
    Connection: 'close',
    ...commonHeaders(requestId),
    ...(error.facts.retryAfterS === undefined ? {} : { 'Retry-After': error.facts.retryAfterS }),
    ...more,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('')}\r\n${body}`;
  return { bytes, requestId, problem, headers, body };
}
