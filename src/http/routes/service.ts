import type { FastifyInstance } from 'fastify';
import { openApiYaml } from '../openapi.js';
import type { State } from '../state.js';

export function healthRoutes(app: FastifyInstance, state: State): void {
  app.get('/healthz', () => ({ status: 'alive' }));
  app.get('/readyz', () => {
    state.assertReady();
    return { status: 'ready' };
  });
}

export function metricsRoute(app: FastifyInstance, { metrics }: State): void {
  app.get('/metrics', async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}

export function openApiRoute(app: FastifyInstance): void {
  const text = openApiYaml();
  app.get('/openapi.yaml', (_request, reply) => reply.type('application/yaml').send(text));
}
