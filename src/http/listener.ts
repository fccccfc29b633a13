/**
 * Node's HTTP server in front of Fastify. Every request passes through here; one that is refused by its head gets a
 * `refusal`, which a hook of Fastify turns into an answer.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import { problemByHand } from './answer-problem.js';
import { brokenRequestHandler, connectHandler, tooManyConnections } from './broken.js';
import type { Connections } from './connections.js';
import { expectationFailed, refusalOf, versionNotSupported } from './head.js';

/** How often Node checks for requests that take too long. */
const TIMEOUT_CHECK_MS = 1000;
/**
 * How much later than our own limit (uploads.ts) Node ends a request: Node's limit is for bodies that nothing reads.
 */
const UNREAD_BODY_MS = 10_000;
/** Longer than the minute after which common load balancers close idle connections, so that they close first. */
export const KEEP_ALIVE_MS = 72_000;

declare module 'node:http' {
  interface IncomingMessage {
    /** The error of a wrong head; a hook throws it after the hooks that set common headers. */
    refusal?: DimmerError;
    /** Set if the client waits for `100 Continue` on this response before it sends the body. */
    awaitsContinue?: ServerResponse | undefined;
  }
}

/** Sends `100 Continue` if the client waits for it. Called when the request can no longer be refused by its head. */
export function continueUpload({ raw }: Pick<FastifyRequest, 'raw'>): void {
  const response = raw.awaitsContinue;
  if (!response) return;
  raw.awaitsContinue = undefined;
  if (!response.headersSent && !response.destroyed) response.writeContinue();
}

export function createListener(
  handler: RequestListener,
  connections: Connections,
  config: Config,
  log: Logger,
): Server {
  const server = createServer({
    // For bodies that nothing reads; the time limit of other bodies is in uploads.ts.
    requestTimeout: config.REQUEST_TIMEOUT_MS + UNREAD_BODY_MS,
    // Not larger than requestTimeout, or Node would swap the two limits.
    headersTimeout: config.REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, config.REQUEST_TIMEOUT_MS),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requireHostHeader: false, // head.ts checks Host, because Node's own answer has no body
  });
  const listener = (request: IncomingMessage, response: ServerResponse, refusal?: DimmerError) => {
    const admission = connections.admit(request, response);
    if (admission === 'ignore') return void request.resume();
    // PRI begins the preface of HTTP/2. Node destroys the connection when this function returns.
    if (request.method === 'PRI') return void request.socket.write(problemByHand(versionNotSupported('2.0')).bytes);
    const refused = admission === 'refuse' ? tooManyUnanswered() : (refusalOf(request) ?? refusal);
    if (refused) request.refusal = refused;
    handler(request, response);
  };
  server.on('request', listener);
  server.on('checkContinue', (request, response) => {
    request.awaitsContinue = response;
    listener(request, response);
  });
  server.on('checkExpectation', (request, response) => listener(request, response, expectationFailed()));
  server.on('connection', (socket) => connections.open(socket));
  server.on('connect', connectHandler(connections, log));
  server.on('clientError', brokenRequestHandler(connections, log));
  connections.onTooMany = tooManyConnections(connections, log);
  return server;
}

function tooManyUnanswered(): DimmerError {
  return new DimmerError('overloaded', {
    detail: 'too many requests on this connection are not answered yet',
    expected: 'a client that reads its answers, with at most 16 requests ahead',
    action: 'wait for answers before sending more, or use several connections',
    retryAfterS: 1,
  });
}
