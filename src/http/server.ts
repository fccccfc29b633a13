/** Makes the HTTP servers: limits, error answers, plugins and routes. */
import { randomUUID } from 'node:crypto';
import { type IncomingHttpHeaders, METHODS } from 'node:http';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import type { Logger } from 'pino';
import { DimmerError } from '../errors.js';
import { answerProblem, commonHeaders } from './answer-problem.js';
import { Connections } from './connections.js';
import { allowOrigins } from './cors.js';
import { docsLook } from './docs-look.js';
import { checkKey } from './keys.js';
import { continueUpload, createListener, KEEP_ALIVE_MS } from './listener.js';
import { openApiDocument } from './openapi.js';
import { notFound } from './problem.js';
import { quotaHook } from './quota.js';
import { REQUEST_ID } from './request-id.js';
import { classifyRoute } from './routes/classify.js';
import { liveRoute } from './routes/live.js';
import { modelRoutes } from './routes/models.js';
import { pageRoutes } from './routes/page.js';
import { healthRoutes, metricsRoute, openApiRoute } from './routes/service.js';
import { securePages, securePlayground } from './security.js';
import type { State } from './state.js';
import { traceRequests } from './tracing.js';
import { inferRoutes } from './v2/infer.js';
import { repositoryRoutes } from './v2/repository.js';
import { v2Routes } from './v2/routes.js';

/** All methods of Node's parser but CONNECT, which never becomes a request. Fastify needs them to answer 405. */
const ALL_METHODS = METHODS.filter((method) => method !== 'CONNECT');
/** Longest path parameter, the longest URL: a name that is too long gets the same 404 as any unknown name. */
const MAX_NAME = 8000;

declare module 'fastify' {
  interface FastifyInstance {
    connections: Connections;
  }
}

/** Removes headers of range and precondition requests, so that pages are always sent whole, without 206, 412 or 416. */
function withoutRanges(headers: IncomingHttpHeaders): void {
  for (const name of ['range', 'if-range', 'if-match', 'if-unmodified-since'] as const) delete headers[name];
}

/** The server on PORT; it does not listen yet. */
export async function createServer(state: State, logger: Logger): Promise<FastifyInstance> {
  const { config } = state;
  const app = base(state, logger);
  await traceRequests(app, state.tracing);
  const paths = refuseOtherMethods(app);
  app.decorateRequest('formType', undefined);
  app.decorateRequest('accepted', undefined);
  // The route reads the body itself (uploads.ts): Fastify's parsers have no minimum rate and waste memory on small
  // chunks.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  await allowOrigins(app, config.CORS_ORIGINS);
  refuseByHead(app, state);
  await app.register(async (pages) => {
    await securePages(pages);
    pages.addHook('onRequest', async ({ raw }) => withoutRanges(raw.headers));
    await pages.register(swagger, { mode: 'static', specification: { document: openApiDocument() as never } });
    await pages.register(swaggerUi, { routePrefix: '/docs', ...docsLook });
    if (config.PLAYGROUND === 'off') pages.get('/', (_request, reply) => reply.redirect('/docs'));
  });
  if (config.PLAYGROUND === 'on') {
    await app.register(async (pages) => {
      await securePlayground(pages);
      pages.addHook('onRequest', async ({ raw }) => withoutRanges(raw.headers));
      pageRoutes(pages);
    });
    liveRoute(app, state);
  }
  const quota = quotaHook(state.access);
  classifyRoute(app, state, quota);
  v2Routes(app, state);
  inferRoutes(app, state, quota);
  modelRoutes(app, state);
  healthRoutes(app, state);
  openApiRoute(app);
  if (config.ADMIN_PORT === undefined) metricsRoute(app, state);
  paths.close();
  return app;
}

/** The server on ADMIN_PORT, with metrics and health; it does not listen yet. */
export function createAdminServer(state: State, logger: Logger): FastifyInstance {
  const app = base(state, logger);
  const paths = refuseOtherMethods(app);
  refuseByHead(app, state);
  metricsRoute(app, state);
  healthRoutes(app, state);
  repositoryRoutes(app, state);
  paths.close();
  return app;
}

function base(state: State, logger: Logger): FastifyInstance {
  const { config, clock } = state;
  // A request may begin just before the idle time is over; its head then still has REQUEST_TIMEOUT_MS to arrive.
  const connections = new Connections(clock, config.MAX_CONNECTIONS, KEEP_ALIVE_MS + config.REQUEST_TIMEOUT_MS);
  const app = fastify({
    loggerInstance: logger,
    serverFactory: (handler) => createListener(handler, connections, config, logger),
    bodyLimit: config.MAX_IMAGE_BYTES,
    routerOptions: { maxParamLength: MAX_NAME },
    trustProxy: config.TRUST_PROXY === '' ? false : config.TRUST_PROXY,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    return503OnClosing: false,
    frameworkErrors: answerProblem,
    clientErrorHandler: () => {}, // broken.ts handles client errors
  }) as unknown as FastifyInstance;
  app.decorate('connections', connections);
  app.decorateRequest('keyName', undefined);
  app.decorateRequest('client', undefined);
  for (const method of ALL_METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  }
  app.addHook('onRequest', async (request, reply) => {
    connections.answering(reply);
    reply.headers(commonHeaders(request.id));
  });
  app.addHook('onSend', async (request, reply) => {
    // Only on the last answer: after `Connection: close` the client reads no further answer (RFC 9112, 9.6).
    const last = connections.isLast(reply.raw, request.raw.socket, state.leaving || state.draining);
    if (last) reply.header('Connection', 'close');
  });
  app.addHook('preClose', async () => connections.drain());
  app.addHook('onClose', async () => connections.stop());
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler(({ method, url }) => {
    throw notFound(`there is nothing at ${method} ${url.split('?')[0]}`);
  });
  return app;
}

/**
 * Adds the hooks that refuse requests by their head. They run after the hooks that set common headers and answer
 * preflights (CORS), which bring no key, and before those of routes, such as quotas.
 */
function refuseByHead(app: FastifyInstance, { access }: State): void {
  app.addHook('onRequest', async (request, reply) => {
    const { raw, method, url, is404 } = request;
    if (raw.refusal) throw raw.refusal;
    checkKey(access, request, reply);
    // OPTIONS * asks about the server as a whole (RFC 9110, 9.3.7).
    if (method === 'OPTIONS' && url === '*') return reply.code(204).header('Allow', 'GET, HEAD, POST, OPTIONS').send();
    // Not in the not-found handler, before which Fastify would wait for the body.
    if (is404) throw notFound(`there is nothing at ${method} ${url.split('?')[0]}`);
  });
  // From here on no hook refuses by head, so that the client may send the body.
  app.addHook('preParsing', async (request) => continueUpload(request));
}

/** Answers 405 with Allow to methods that a known path does not have. Call `close` once all routes are registered. */
function refuseOtherMethods(app: FastifyInstance): { close: () => void } {
  const paths = new Set<string>();
  app.addHook('onRoute', ({ url }) => {
    if (url !== '*') paths.add(url);
  });
  const refuse = (url: string) => {
    const allowed = ALL_METHODS.filter((method) => app.hasRoute({ method, url }));
    app.route({
      method: ALL_METHODS.filter((method) => !allowed.includes(method)),
      url,
      // In onRequest, before the body is read.
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
  };
  return { close: () => [...paths].forEach(refuse) };
}
