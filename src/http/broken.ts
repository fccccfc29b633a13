/**
 * Answers what Node's HTTP parser refuses: bytes that never become a request object, and requests whose body breaks
 * off. Also CONNECT and connections beyond MAX_CONNECTIONS. All answers are problem+json, like any other error.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { DimmerError } from '../errors.js';
import { problemByHand } from './answer-problem.js';
import type { Connection, Connections } from './connections.js';
import { uriTooLong, versionNotSupported } from './head.js';

type ParserError = Error & { code?: string; rawPacket?: Buffer; bytesParsed?: number };

/**
 * Code of the parser -> detail of the problem. The parser's own messages name its states, which do not help a client.
 */
const WRONG: Record<string, string> = {
  HPE_INVALID_METHOD: 'the request begins with no method',
  HPE_INVALID_URL: 'the target of the request has a character that no URL has',
  HPE_INVALID_CONSTANT: 'the request line does not end in HTTP/1.1',
  HPE_INVALID_VERSION: 'the request line names no version of HTTP',
  HPE_INVALID_HEADER_TOKEN: 'a header has a character that none may have, in its name or its value',
  HPE_UNEXPECTED_SPACE: 'there is a space where none may be, before a header or its colon',
  HPE_INVALID_CONTENT_LENGTH: 'Content-Length is no number, is there twice, or is beside Transfer-Encoding',
  HPE_UNEXPECTED_CONTENT_LENGTH: 'Content-Length is there twice, or beside Transfer-Encoding',
  HPE_INVALID_TRANSFER_ENCODING: 'the last Transfer-Encoding is not chunked, or is beside Content-Length',
  HPE_INVALID_CHUNK_SIZE: 'a chunk of the body begins with no size in hexadecimal digits',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'the extensions of a chunk are larger than this server reads',
  HPE_INVALID_EOF_STATE: 'the connection ended within the request',
  HPE_CR_EXPECTED: 'a line does not end in CR LF',
  HPE_LF_EXPECTED: 'a CR is not followed by LF',
};

/** Makes the listener for the server's event clientError. */
export function brokenRequestHandler(connections: Connections, logger: Logger) {
  return (error: ParserError, socket: Socket): void => {
    const connection = connections.of(socket);
    const lost = error.code === 'ECONNRESET' || error.code === 'EPIPE' || !socket.writable;
    if (lost || !connection) return void socket.destroy();
    if (connection.broken) return;
    connection.broken = true;
    const { request } = connection;
    if (connection.closing && request?.complete !== false) return; // the last answer is already on its way
    connection.closing = true;
    const known = toDimmerError(error);
    if (request?.complete === false) refuseBody(connections, connection, error, known);
    // Browsers open connections in advance. Without any byte received there is no request, so no 408 is sent.
    else if (socket.bytesRead === 0) socket.destroy();
    else answerLast(connections, connection, known, logger);
  };
}

/**
 * Makes the listener for the server's event connect, which refuses CONNECT: this is no proxy. Before the event, Node
 * removes its own listeners from the socket.
 */
export function connectHandler(connections: Connections, logger: Logger) {
  return (_request: IncomingMessage, socket: Socket): void => {
    socket.on('error', () => socket.destroy()).resume();
    const connection = connections.of(socket);
    if (!connection || connection.closing) return void socket.destroy();
    connection.broken = true;
    const error = new DimmerError('method-not-allowed', {
      detail: 'this is no proxy: CONNECT does not work here',
      expected: 'GET, HEAD, POST or OPTIONS',
      action: 'send the request without a proxy',
    });
    answerLast(connections, connection, error, logger, { Allow: 'GET, HEAD, POST, OPTIONS' });
  };
}

/** Makes the function that answers a connection beyond MAX_CONNECTIONS. */
export function tooManyConnections(connections: Connections, logger: Logger): (connection: Connection) => void {
  return (connection) => {
    connection.broken = true;
    const error = new DimmerError('overloaded', {
      detail: 'there are as many connections as MAX_CONNECTIONS allows, each with a request that is not answered yet',
      expected: 'a free place',
      action: 'try again after the time in Retry-After',
      retryAfterS: 1,
    });
    answerLast(connections, connection, error, logger);
  };
}

/**
 * Sends an error as the last answer of a connection. It is sent after the answers to earlier requests, because HTTP/1.1
 * matches answers to requests by order.
 */
function answerLast(
  connections: Connections,
  connection: Connection,
  error: DimmerError,
  logger: Logger,
  headers?: Record<string, string>,
): void {
  connection.closing = true;
  const answer = () => {
    const { bytes, requestId, problem } = problemByHand(error, headers);
    logger.info({ requestId, status: problem.status, reason: error.code, detail: problem.detail }, 'refused');
    connection.end(connections.lingerMs, bytes);
  };
  // Earlier answers must not say `Connection: close`; this answer says it.
  connection.response = undefined;
  if (connection.idle) answer();
  else connection.whenAnswered = answer;
}

/** The client ended its side within a body. Most such clients are gone, but one that still reads gets the error. */
function brokenOff(connections: Connections, connection: Connection, error: DimmerError): void {
  if (connection.response?.headersSent) connection.socket.destroy();
  else connection.end(connections.lingerMs, problemByHand(error).bytes);
}

/** Ends a request whose head was valid and whose body is not: the reader of the body gets the error. */
function refuseBody(connections: Connections, connection: Connection, { code }: ParserError, error: DimmerError): void {
  const request = connection.request as IncomingMessage;
  const response = connection.response as ServerResponse;
  // The request has been answered (refused); the rest of its body was only being discarded.
  if (!connection.unanswered.has(response)) connection.socket.destroySoon();
  else if (code === 'HPE_INVALID_EOF_STATE' && connection.unanswered.size === 1)
    brokenOff(connections, connection, error);
  else if (request.listenerCount('error') > 0) request.emit('error', error);
  else if (response.headersSent) connection.socket.destroy();
  else {
    const { problem, headers, body } = problemByHand(error);
    response.writeHead(problem.status, headers).end(body);
  }
}

function toDimmerError(error: ParserError): DimmerError {
  const line = lineOf(error);
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new DimmerError('request-timeout', {
      detail: 'the request did not arrive in time',
      expected: 'the whole request within REQUEST_TIMEOUT_MS',
      action: 'send it again over a faster connection, or a smaller picture',
    });
  }
  if (error.code === 'HPE_HEADER_OVERFLOW') return LONG_LINE.test(line) ? uriTooLong() : headersTooLarge();
  const [, version] = VERSION.exec(line) ?? [];
  if (error.code === 'HPE_INVALID_VERSION' && version !== undefined) return versionNotSupported(version);
  if (error.code === 'HPE_PAUSED_H2_UPGRADE') return versionNotSupported('2.0');
  if (error.code === 'HPE_INVALID_METHOD' && version !== undefined) return unknownMethod();
  return new DimmerError('invalid-request', {
    detail: WRONG[error.code ?? ''] ?? 'this is no HTTP request',
    expected: 'an HTTP/1.1 request as in RFC 9112',
    action: 'correct the client, or the proxy between it and this service',
  });
}

/** The line at which the parser stopped. The same bytes may begin with earlier requests. */
function lineOf({ rawPacket, bytesParsed = 0 }: ParserError): string {
  if (!rawPacket) return '';
  const start = bytesParsed > 0 ? rawPacket.lastIndexOf(10, bytesParsed - 1) + 1 : 0;
  return rawPacket.toString('latin1', start, start + MAX_LOOK_BYTES);
}

/** How much of the line to look at: more than the largest head that Node reads (16 KiB). */
const MAX_LOOK_BYTES = 20_000;
const VERSION = /^[\w!#$%&'*+.^`|~-]+ \S+ HTTP\/(\d\.\d)\r\n/;
const LONG_LINE = /^[A-Z-]+ \S{8000}[^\n]*$/;

function headersTooLarge(): DimmerError {
  return new DimmerError('headers-too-large', {
    detail: 'the headers are larger than this server reads',
    expected: 'at most 16 KiB of headers',
    action: 'send fewer or shorter headers',
  });
}

export function unknownMethod(): DimmerError {
  return new DimmerError('not-implemented', {
    detail: 'the method of the request is not known here',
    expected: 'GET, HEAD or POST',
    action: 'use one of these; /openapi.yaml lists the methods of each path',
  });
}
