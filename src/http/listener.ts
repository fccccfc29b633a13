/** From Node's server to Fastify: every request comes by here, and what can be refused by its head is marked. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import { problemByHand } from './answer-problem.js';
import { brokenRequestHandler, connectHandler, tooManyConnections } from './broken.js';
import type { Connections } from './connections.js';
import { expectationFailed, refusalOf, versionNotSupported } from './head.js';

/** How often Node looks for requests that take too long. */
const TIMEOUT_CHECK_MS = 1000;
/** So much later Node ends what nothing else has: long enough that it is never first. */
const UNREAD_BODY_MS = 10_000;
/** Longer than the minute after which usual balancers close idle connections, so that these do it and not we. */
export const KEEP_ALIVE_MS = 72_000;

declare module 'node:http' {
  interface IncomingMessage {
    /** Why the head of this request is refused; thrown once the hooks that every answer needs have run. */
    refusal?: DimmerError;
    /** The response on which the client awaits `100 Continue` before it sends the body. */
    awaitsContinue?: ServerResponse | undefined;
  }
}

/** Tells a client that waits for it (Expect: 100-continue) to send its body. Call it when nothing more can refuse by head. */
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
    // Of heads; the time of a body is kept where it is read (uploads.ts), and this only bounds bodies that nobody reads.
    requestTimeout: config.REQUEST_TIMEOUT_MS + UNREAD_BODY_MS,
    // No larger than requestTimeout: Node would swap the two, and a slow body would have 60 s.
    headersTimeout: config.REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, config.REQUEST_TIMEOUT_MS),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requireHostHeader: false, // Node's own answer has no body; head.ts has the rule
  });
  const listener = (request: IncomingMessage, response: ServerResponse, refusal?: DimmerError) => {
    const admission = connections.admit(request, response);
    if (admission === 'ignore') return void request.resume();
    // Node destroys the connection as soon as this returns.
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
