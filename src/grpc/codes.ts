/** Errors as statuses of gRPC, with the table from HTTP statuses to gRPC codes. Pure. */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { DimmerError } from '../errors.js';
import { PROBLEMS } from '../http/problem.js';
import { textOf } from '../oip/errors.js';

/**
 * HTTP status of an error -> code of gRPC. Statuses that are missing belong to HTTP itself (paths, methods, headers):
 * no call gets one.
 */
export const GRPC_CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  404: status.NOT_FOUND,
  408: status.DEADLINE_EXCEEDED,
  413: status.RESOURCE_EXHAUSTED,
  415: status.INVALID_ARGUMENT,
  422: status.INVALID_ARGUMENT,
  429: status.RESOURCE_EXHAUSTED,
  500: status.INTERNAL,
  501: status.UNIMPLEMENTED,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

/**
 * Longest text of an error, in characters. It is sent as a trailer, of which common clients accept 8 KiB in all, and a
 * character takes up to 9 bytes there. Only texts with a name that the client made up are longer.
 */
const MOST_TEXT = 600;

/** The status for an error: its text, and as trailers what an HTTP answer has as headers. */
export function statusOf(error: DimmerError, requestId: string): StatusObject {
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  const { retryAfterS } = error.facts;
  if (retryAfterS !== undefined) metadata.set('retry-after', String(retryAfterS));
  const code = GRPC_CODES[PROBLEMS[error.code].status] ?? status.UNKNOWN;
  return { code, details: cut(textOf(error)), metadata };
}

/** At most MOST_TEXT characters. Half of a surrogate pair, which cannot be sent, becomes U+FFFD. */
function cut(text: string): string {
  const short = text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}...` : text;
  return Buffer.from(short).toString();
}
