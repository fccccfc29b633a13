/** GET /healthz, /readyz, /metrics and /openapi.yaml. */
import type { FastifyInstance } from 'fastify';
import { openApiYaml } from '../openapi.js';
import type { State } from '../state.js';

export function healthRoutes(app: FastifyInstance, state: State): void {
  app.get('/healthz', () => ({ status: 'alive' }));
  app.get('/readyz', () => {
    state.assertStaying();
    state.assertReady();
    return { status: 'ready' };
  });
}

export function metricsRoute(app: FastifyInstance, { metrics }: State): void {
  let making: Promise<string> | undefined;
  /** The text of the metrics; requests at the same time share it. */
  const text = () => {
    making ??= metrics.registry.metrics().finally(() => {
      making = undefined;
    });
    return making;
  };
  app.get('/metrics', async (_request, reply) => {
    reply.type(metrics.registry.contentType);
    return text();
  });
}

let document: Buffer | undefined;

export function openApiRoute(app: FastifyInstance): void {
  document ??= Buffer.from(openApiYaml());
  app.get('/openapi.yaml', (_request, reply) => reply.type('application/yaml').send(document));
}
