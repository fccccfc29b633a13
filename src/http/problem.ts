/** Errors as RFC 9457 problem details, with the table from error codes to HTTP statuses. Pure. */
import { DimmerError, type ErrorCode } from '../errors.js';

export const PROBLEMS: Record<ErrorCode, { readonly status: number; readonly title: string }> = {
  'invalid-budget': { status: 400, title: 'The budget cannot be read' },
  'invalid-request': { status: 400, title: 'The request cannot be read' },
  'too-many-images': { status: 400, title: 'Too many pictures in one request' },
  unauthorized: { status: 401, title: 'An API key is needed' },
  'unknown-model': { status: 404, title: 'No such model' },
  'unknown-instance': { status: 404, title: 'No such instance' },
  'not-found': { status: 404, title: 'No such page' },
  'method-not-allowed': { status: 405, title: 'Wrong method' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'refused-model': { status: 409, title: 'This model cannot be served' },
  'image-too-large': { status: 413, title: 'The picture is too large' },
  'uri-too-long': { status: 414, title: 'The URL is too long' },
  'expectation-failed': { status: 417, title: 'The expectation cannot be met' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'unsupported-media': { status: 415, title: 'Not a picture of a kind that is read' },
  'invalid-image': { status: 422, title: 'The picture cannot be decoded' },
  'infeasible-budget': { status: 422, title: 'No instance can meet this budget' },
  'quota-exceeded': { status: 429, title: 'The quota is used up' },
  internal: { status: 500, title: 'The service failed' },
  'engine-failed': { status: 500, title: 'The network could not be run' },
  'not-implemented': { status: 501, title: 'This part of HTTP is not supported' },
  overloaded: { status: 503, title: 'The service is overloaded' },
  'deadline-unattainable': { status: 503, title: 'The latency cannot be met at present' },
  'not-ready': { status: 503, title: 'The service is not ready' },
  draining: { status: 503, title: 'The service is shutting down' },
  'deadline-exceeded': { status: 504, title: 'The time ran out before the picture was run' },
  'version-not-supported': { status: 505, title: 'This version of HTTP is not supported' },
};

export const PROBLEM_TYPE = 'urn:dimmer:problem:';
export const PROBLEM_MEDIA = 'application/problem+json';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly expected: string;
  readonly action: string;
  readonly [member: string]: unknown;
}

export function toProblem(error: DimmerError): Problem {
  const { status, title } = PROBLEMS[error.code];
  const { detail, expected, action, members } = error.facts;
  return { type: `${PROBLEM_TYPE}${error.code}`, title, status, detail, expected, action, ...members };
}

/**
 * Turns anything thrown into a DimmerError. An unknown error becomes `internal` without its message, which may tell
 * about internals.
 */
export function toDimmerError(error: unknown): DimmerError {
  if (error instanceof DimmerError) return error;
  const {
    code = '',
    statusCode = 500,
    message = '',
  } = (error ?? {}) as { code?: string; statusCode?: number; message?: string };
  // The plugin for static files answers 403 to a path outside its folder; for the client nothing is there, too.
  if (statusCode === 403 || statusCode === 404) return notFound('there is nothing at this path');
  if (statusCode >= 400 && statusCode < 500) {
    return new DimmerError('invalid-request', {
      // Messages of Fastify are made for clients; other messages may name files and internals.
      detail: (code.startsWith('FST_') && message) || 'the request cannot be served',
      expected: 'a request as described in /openapi.yaml',
      action: 'correct the request',
    });
  }
  return new DimmerError('internal', {
    detail: 'an unexpected error; the log has it under this request id',
    expected: 'an answer',
    action: 'try again; if it happens again, report the X-Request-Id',
  });
}

export function notFound(detail: string): DimmerError {
  return new DimmerError('not-found', {
    detail,
    expected:
      'POST /classify or /v2/models/{name}/infer, GET /, /models, /live, /v2, /healthz, /readyz, /metrics, /openapi.yaml or /docs',
    action: 'see /docs',
  });
}
