/** GET /healthz, /readyz, /metrics and /openapi.yaml. */
import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { getOrInsert } from '../../get-or-insert.js';
import { type MetricsFormat, textOf } from '../../telemetry/metrics.js';
import { openApiYaml } from '../openapi.js';
import type { State } from '../state.js';

export function healthRoutes(app: FastifyInstance, state: State): void {
  app.get('/healthz', () => ({ status: 'alive' }));
  app.get('/readyz', () => {
    state.assertStaysReady();
    return { status: 'ready' };
  });
}

/** Metrics in the text format of Prometheus; in OpenMetrics, which has exemplars, for scrapers that prefer that. */
export function metricsRoute(app: FastifyInstance, { metrics: { registry } }: State): void {
  const texts = new Map<MetricsFormat, Promise<string>>();
  /** Requests at the same time share a text. */
  const text = (format: MetricsFormat) =>
    getOrInsert(texts, format, () => textOf(registry, format).finally(() => texts.delete(format)));
  app.get('/metrics', async ({ headers: { accept = '' } }, reply) => {
    const quality = qualityOf(accept, 'application/openmetrics-text');
    const open = quality > 0 && quality >= qualityOf(accept, 'text/plain');
    const format = open ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
    reply.type(format).header('Vary', 'Accept');
    return text(format);
  });
}

/**
 * How much a client wants a media type, by `Accept` (RFC 9110, 12.5.1); 0 if the type is not named. Parameters do not
 * count: Prometheus adds some of its own (`escaping`), by which libraries for this header find no match.
 */
function qualityOf(accept: string, type: string): number {
  const ranges = accept
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim()));
  const qualities = ranges
    .filter(([name]) => name === type)
    .map(([, ...parameters]) => Number(parameters.find((p) => p.startsWith('q='))?.slice(2) ?? 1));
  return Math.max(0, ...qualities);
}

let document: Buffer | undefined;

export function openApiRoute(app: FastifyInstance): void {
  document ??= Buffer.from(openApiYaml());
  app.get('/openapi.yaml', (_request, reply) => reply.type('application/yaml').send(document));
}
