/** The HTTP edge: limits, timeouts, error answers, routes. */
import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import type { Logger } from 'pino';
import { DimmerError, type ErrorCode } from '../errors.js';
import { openApiDocument } from './openapi.js';
import { PROBLEM_MEDIA, toDimmerError, toProblem } from './problem.js';
import { quotaHook } from './quota.js';
import { classifyRoute } from './routes/classify.js';
import { modelRoutes } from './routes/models.js';
import { healthRoutes, metricsRoute, openApiRoute } from './routes/service.js';
import type { State } from './state.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const REQUEST_ID = /^[\w.-]{1,64}$/;
/** How often Node looks for requests that take too long. */
const TIMEOUT_CHECK_MS = 1000;
/** How long a client that was refused by hand has to read why. */
const LINGER_MS = 1000;

export async function createServer(state: State, logger: Logger): Promise<FastifyInstance> {
  const { config } = state;
  const app = base(state, logger);
  app.decorateRequest('formType', undefined);
  app.decorateRequest('accepted', undefined);
  // The route reads the body itself (uploads.ts): Fastify's parsers keep every chunk as it comes and know no rate.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  await app.register(swagger, { mode: 'static', specification: { document: openApiDocument() as never } });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  classifyRoute(app, state, await quotaHook(app, config));
  modelRoutes(app, state);
  healthRoutes(app, state);
  openApiRoute(app);
  app.get('/', (_request, reply) => reply.redirect('/docs'));
  const paths = ['/classify', '/models', '/models/:name', '/healthz', '/readyz', '/openapi.yaml', '/'];
  if (config.ADMIN_PORT === undefined) {
    metricsRoute(app, state);
    paths.push('/metrics');
  }
  refuseOtherMethods(app, paths);
  return app;
}

/** What an operator reads, on a port of its own. */
export function createAdminServer(state: State, logger: Logger): FastifyInstance {
  const app = base(state, logger);
  metricsRoute(app, state);
  healthRoutes(app, state);
  refuseOtherMethods(app, ['/metrics', '/healthz', '/readyz']);
  return app;
}

function base(state: State, logger: Logger): FastifyInstance {
  const { config } = state;
  const app = fastify({
    loggerInstance: logger,
    requestTimeout: config.REQUEST_TIMEOUT_MS,
    http: {
      requestTimeout: config.REQUEST_TIMEOUT_MS,
      // No larger than requestTimeout: Node would swap the two, and a slow body would have 60 s.
      headersTimeout: config.REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, config.REQUEST_TIMEOUT_MS),
    },
    bodyLimit: config.MAX_IMAGE_BYTES,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    return503OnClosing: false,
    frameworkErrors: answerProblem,
    clientErrorHandler: answerBrokenRequest,
  }) as unknown as FastifyInstance;
  app.addHook('onRequest', async (request, reply) => {
    reply.header('X-Request-Id', request.id);
  });
  app.addHook('onSend', async (_request, reply) => {
    // A kept connection that turns idle after close() began would hold it up for 72 s (fastify#7044).
    if (state.draining) reply.header('Connection', 'close');
  });
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request) => {
    throw new DimmerError('not-found', {
      detail: `there is nothing at ${request.method} ${request.url.split('?')[0]}`,
      expected: 'POST /classify, GET /models, /healthz, /readyz, /metrics, /openapi.yaml or /docs',
      action: 'see /docs',
    });
  });
  return app;
}

function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toDimmerError(error);
  const problem = toProblem(known);
  if (problem.status >= 500 && known !== error) request.log.error({ err: error }, 'unexpected error');
  request.log[problem.status >= 500 ? 'warn' : 'info'](
    { status: problem.status, reason: known.code, detail: problem.detail },
    'refused',
  );
  if (known.facts.retryAfterS !== undefined) reply.header('Retry-After', known.facts.retryAfterS);
  // As bytes: to a string Fastify would add a charset, which this media type does not have (RFC 9457, 6.1).
  reply.header('X-Request-Id', request.id); // an error of the framework itself comes before our hooks
  // The rest of a form nobody reads any more: let it pass, or the connection is stuck, and closing it loses the answer.
  if (!request.raw.complete) request.raw.unpipe().resume();
  return reply
    .code(problem.status)
    .type(PROBLEM_MEDIA)
    .send(Buffer.from(JSON.stringify(problem)));
}

/** 405 with Allow for every method that a known path does not have. */
function refuseOtherMethods(app: FastifyInstance, paths: readonly string[]): void {
  for (const url of paths) {
    const allowed = METHODS.filter((method) => app.hasRoute({ method, url }));
    app.route({
      method: METHODS.filter((method) => !allowed.includes(method)),
      url,
      // Before the body is read: nobody will want it.
      onRequest: async (request, reply) => {
        reply.header('Allow', allowed.join(', '));
        throw new DimmerError('method-not-allowed', {
          detail: `${request.method} does not work at ${url}`,
          expected: allowed.join(' or '),
          action: 'use that method; see /docs',
        });
      },
      handler: () => undefined,
    });
  }
}

const CLIENT_ERRORS: Record<string, ErrorCode> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'headers-too-large',
};

/** Requests that Node's parser refuses never become a request; they get their answer here, by hand. */
function answerBrokenRequest(
  error: Error & { code?: string },
  socket: Socket & { _httpMessage?: ServerResponse },
): void {
  // Whatever is written after an answer would be taken for the next one.
  if (error.code === 'ECONNRESET' || !socket.writable || socket._httpMessage?.headersSent) return void socket.destroy();
  const code = CLIENT_ERRORS[error.code ?? ''] ?? 'invalid-request';
  const problem = toProblem(
    new DimmerError(
      code,
      {
        'request-timeout': {
          detail: 'the request did not arrive in time',
          expected: 'the whole request within REQUEST_TIMEOUT_MS',
          action: 'send it again over a faster connection, or a smaller picture',
        },
        'headers-too-large': {
          detail: 'the headers are larger than this server reads',
          expected: 'at most 16 KiB of headers',
          action: 'send fewer or shorter headers',
        },
      }[code as string] ?? {
        detail: `this is no HTTP request: ${error.message}`,
        expected: 'an HTTP/1.1 request',
        action: 'correct the client',
      },
    ),
  );
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: ${PROBLEM_MEDIA}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  // A client that keeps its own side open would hold its place and its bytes for ever.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
