/** Errors as RFC 9457 problem details. The one table from codes to statuses. */
import { DimmerError, type ErrorCode, type ErrorFacts } from '../errors.js';

export const PROBLEMS: Record<ErrorCode, { readonly status: number; readonly title: string }> = {
  'invalid-budget': { status: 400, title: 'The budget cannot be read' },
  'invalid-request': { status: 400, title: 'The request cannot be read' },
  'too-many-images': { status: 400, title: 'Too many pictures in one request' },
  'unknown-model': { status: 404, title: 'No such model' },
  'unknown-instance': { status: 404, title: 'No such instance' },
  'not-found': { status: 404, title: 'No such page' },
  'method-not-allowed': { status: 405, title: 'Wrong method' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'image-too-large': { status: 413, title: 'The picture is too large' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'unsupported-media': { status: 415, title: 'Not a picture of a known kind' },
  'invalid-image': { status: 422, title: 'The picture is damaged' },
  'infeasible-budget': { status: 422, title: 'No instance can meet this budget' },
  'quota-exceeded': { status: 429, title: 'The quota is used up' },
  internal: { status: 500, title: 'Something went wrong here' },
  'engine-failed': { status: 500, title: 'The network could not be run' },
  overloaded: { status: 503, title: 'Too many pictures are waiting' },
  'deadline-unattainable': { status: 503, title: 'The latency cannot be met at present' },
  'not-ready': { status: 503, title: 'The service is not ready' },
  draining: { status: 503, title: 'The service is shutting down' },
  'deadline-exceeded': { status: 504, title: 'The time ran out before the picture was run' },
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

/** Codes of Fastify and its multipart plugin that are the client's doing, as our own errors. */
const FRAMEWORK: Record<string, [ErrorCode, Omit<ErrorFacts, 'detail'>]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    'image-too-large',
    { expected: 'a picture within MAX_IMAGE_BYTES', action: 'send a smaller file' },
  ],
  FST_REQ_FILE_TOO_LARGE: [
    'image-too-large',
    { expected: 'pictures within MAX_IMAGE_BYTES each', action: 'send smaller files' },
  ],
  FST_FILES_LIMIT: [
    'too-many-images',
    { expected: 'at most MAX_IMAGES pictures', action: 'send the others in further requests' },
  ],
  FST_PARTS_LIMIT: [
    'too-many-images',
    { expected: 'at most MAX_IMAGES parts', action: 'send the others in further requests' },
  ],
};

/** Anything thrown -> a domain error. What is not known to be the client's doing is internal, and its text stays here. */
export function toDimmerError(error: unknown): DimmerError {
  if (error instanceof DimmerError) return error;
  const {
    code = '',
    statusCode = 500,
    message = '',
  } = (error ?? {}) as { code?: string; statusCode?: number; message?: string };
  const known = FRAMEWORK[code];
  if (known) return new DimmerError(known[0], { detail: message, ...known[1] });
  if (statusCode >= 400 && statusCode < 500) {
    return new DimmerError('invalid-request', {
      detail: message,
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
