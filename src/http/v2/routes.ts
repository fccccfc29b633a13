/** The Open Inference Protocol, v2 over REST, but for inference itself: health, metadata, statistics, the index. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import type { State } from '../state.js';
import { ClientGone } from '../uploads.js';
import { metadataOf, type Named, servedOf, statisticsOf } from './models.js';
import {
  indexRequest,
  type repositoryIndex,
  type v2Live,
  type v2ModelReady,
  type v2Ready,
  type v2Server,
  type v2Statistics,
} from './schemas.js';
import { wrong } from './tensors.js';

/** As Triton names them. */
const EXTENSIONS = ['binary_tensor_data', 'classification', 'parameters', 'statistics'];
/** Of this service: package.json lies above src and above dist. */
const { version: VERSION } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
/** A request for the index has one member at most. */
const MAX_INDEX_BYTES = 1024;

/** Without and with a version, which not every client sends. */
export const ofModel = (rest: string) => [`/v2/models/:name${rest}`, `/v2/models/:name/versions/:version${rest}`];

export function v2Routes(app: FastifyInstance, state: State): void {
  const server = { name: 'dimmer', version: VERSION, extensions: EXTENSIONS } satisfies z.infer<typeof v2Server>;
  // The specification has the path with a slash and without.
  for (const url of ['/v2', '/v2/']) app.get(url, () => server);
  app.get('/v2/health/live', () => ({ live: true }) satisfies z.infer<typeof v2Live>);
  app.get('/v2/health/ready', () => {
    state.assertReady();
    return { live: true, ready: true } satisfies z.infer<typeof v2Ready>;
  });
  for (const url of ofModel('')) {
    app.get<{ Params: Named }>(url, ({ params }) => metadataOf(servedOf(state.service, params)));
  }
  for (const url of ofModel('/ready')) {
    app.get<{ Params: Named }>(url, ({ params }): z.infer<typeof v2ModelReady> => {
      state.assertReady();
      return { name: servedOf(state.service, params).family.name, ready: true };
    });
  }
  app.get('/v2/models/stats', (): z.infer<typeof v2Statistics> => {
    const { service } = state;
    return { model_stats: service.catalog.families.map((served) => statisticsOf(served, service)) };
  });
  for (const url of ofModel('/stats')) {
    app.get<{ Params: Named }>(url, ({ params }): z.infer<typeof v2Statistics> => {
      const { service } = state;
      return { model_stats: [statisticsOf(servedOf(service, params), service)] };
    });
  }
  app.post('/v2/repository/index', {
    onRequest: async ({ raw: { headers } }) => {
      delete headers['content-type']; // what the body is, is known
    },
    handler: async (request): Promise<z.infer<typeof repositoryIndex>> => {
      const { catalog } = state.service;
      const body = await state.uploads.read(request.raw, MAX_INDEX_BYTES);
      const { bytes } = body;
      body.release();
      checkIndexRequest(bytes);
      return catalog.families.map(({ family: { name, version } }) => ({ name, version, state: 'READY', reason: '' }));
    },
    errorHandler: (error, _request, reply) => {
      if (error instanceof ClientGone) return reply.hijack();
      throw error;
    },
  });
}

/** All models are ready, or there is no answer: what is asked makes no difference, but it has to be right. */
function checkIndexRequest(bytes: Buffer): void {
  if (bytes.length === 0) return;
  let asked: unknown;
  try {
    asked = JSON.parse(bytes.toString());
  } catch {
    // said below
  }
  if (!indexRequest.safeParse(asked).success)
    throw wrong('the body asks for no index', 'nothing, or JSON: {"ready": true} or {"ready": false}');
}
