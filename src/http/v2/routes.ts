/** The Open Inference Protocol, v2 over REST, without inference: health, metadata, statistics, the index of models. */
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { DimmerError } from '../../errors.js';
import { indexOf, metadataOf, type Named, SERVER, servedOf, statisticsOf } from '../../oip/models.js';
import {
  indexRequest,
  type repositoryIndex,
  type v2Live,
  type v2ModelReady,
  type v2Ready,
  type v2Statistics,
} from '../../oip/schemas.js';
import { wrong } from '../../oip/tensors.js';
import type { State } from '../state.js';
import { ClientGone } from '../uploads.js';

/** Upper bound of a request for the index, which has one member at most. */
const MAX_INDEX_BYTES = 1024;

/** The paths of a model, without and with a version: some clients send it, others do not. */
export const ofModel = (rest: string) => [`/v2/models/:name${rest}`, `/v2/models/:name/versions/:version${rest}`];

export function v2Routes(app: FastifyInstance, state: State): void {
  // The specification has the path with a slash and without.
  for (const url of ['/v2', '/v2/']) app.get(url, () => SERVER);
  app.get('/v2/health/live', () => ({ live: true }) satisfies z.infer<typeof v2Live>);
  app.get('/v2/health/ready', () => {
    state.assertStaysReady();
    return { live: true, ready: true } satisfies z.infer<typeof v2Ready>;
  });
  for (const url of ofModel('')) {
    app.get<{ Params: Named }>(url, ({ params }) => metadataOf(servedOf(state.service, params)));
  }
  for (const url of ofModel('/ready')) {
    app.get<{ Params: Named }>(url, ({ params }): z.infer<typeof v2ModelReady> => {
      state.assertStaysReady();
      return { name: servedOf(state.service, params).family.name, ready: true };
    });
  }
  app.get('/v2/models/stats', (): z.infer<typeof v2Statistics> => statisticsOf(state.service, undefined));
  for (const url of ofModel('/stats')) {
    app.get<{ Params: Named }>(url, ({ params }): z.infer<typeof v2Statistics> => statisticsOf(state.service, params));
  }
  app.post('/v2/repository/index', {
    onRequest: async ({ raw: { headers } }) => {
      delete headers['content-type']; // the handler reads the body, whatever its type
    },
    handler: async (request): Promise<z.infer<typeof repositoryIndex>> => {
      const { service } = state;
      const body = await state.uploads.read(request.raw, MAX_INDEX_BYTES, indexTooLarge);
      const { bytes } = body;
      body.release();
      checkIndexRequest(bytes);
      return indexOf(service);
    },
    errorHandler: (error, _request, reply) => {
      if (error instanceof ClientGone) return reply.hijack();
      throw error;
    },
  });
}

/** `ready` makes no difference: an answer means that all models are ready. Raises DimmerError invalid-request. */
function checkIndexRequest(bytes: Buffer): void {
  if (bytes.length === 0) return;
  let asked: unknown;
  try {
    asked = JSON.parse(bytes.toString());
  } catch {
    // undefined is refused below
  }
  if (!indexRequest.safeParse(asked).success) throw wrong('the body asks for no index', INDEX_REQUEST);
}

const INDEX_REQUEST = 'nothing, or JSON: {"ready": true} or {"ready": false}';

function indexTooLarge(most: number): DimmerError {
  return new DimmerError('image-too-large', {
    detail: `the body has more than ${most} bytes`,
    expected: INDEX_REQUEST,
    action: 'ask with one of these',
  });
}
