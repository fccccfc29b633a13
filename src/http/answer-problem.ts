/** Sends problems: under a request, and by hand where there is none. */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DimmerError } from '../errors.js';
import { PROBLEM_MEDIA, toDimmerError, toProblem } from './problem.js';

/** What every answer carries: what the log calls the request, and that browsers must not guess another type. */
export const commonHeaders = (requestId: string) => ({
  'X-Request-Id': requestId,
  'X-Content-Type-Options': 'nosniff',
});

/** Answers anything thrown under a request. */
export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toDimmerError(error);
  const problem = toProblem(known);
  if (problem.status >= 500 && known !== error) request.log.error({ err: error }, 'unexpected error');
  else if (known.cause !== undefined) request.log.error({ err: known.cause }, known.code);
  request.log[problem.status >= 500 ? 'warn' : 'info'](
    { status: problem.status, reason: known.code, detail: problem.detail },
    'refused',
  );
  reply.headers(commonHeaders(request.id)); // an error of the framework itself comes before our hooks
  if (known.facts.retryAfterS !== undefined) reply.header('Retry-After', known.facts.retryAfterS);
  // The rest of a form nobody reads any more: let it pass, or the connection is stuck, and closing it loses the answer.
  if (!request.raw.complete) request.raw.unpipe().resume();
  // As bytes: to a string Fastify would add a charset, which this media type does not have (RFC 9457, 6.1).
  return reply
    .code(problem.status)
    .type(PROBLEM_MEDIA)
    .send(Buffer.from(JSON.stringify(problem)));
}

/** The same for what never became a request: a whole answer as it goes over the wire, after which the connection ends. */
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
