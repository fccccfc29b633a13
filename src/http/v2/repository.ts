/** Triton's model repository extension on ADMIN_PORT: lists, loads and unloads models. */
import type { FastifyInstance, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import { z } from 'zod';
import { DimmerError } from '../../errors.js';
import type { ModelRepository, State } from '../state.js';
import { ClientGone } from '../uploads.js';

/** A request has a few short parameters at most. */
const MAX_BYTES = 4096;

/** Parameters of Triton that bring a configuration or files: families come from MODELS_DIR only. */
const loadRequest = z.looseObject({ parameters: z.record(z.string(), z.unknown()).optional() });
const indexRequest = z.looseObject({ ready: z.boolean().optional() });

interface Named {
  readonly name: string;
}

export function repositoryRoutes(app: FastifyInstance, state: State): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null)); // bodies are read below
  const options = {
    onRequest: (async ({ raw: { headers } }) => {
      delete headers['content-type']; // what the body is, is known
    }) as preHandlerAsyncHookHandler,
    errorHandler: (error: Error, _request: FastifyRequest, reply: { hijack(): unknown }) => {
      if (error instanceof ClientGone) return reply.hijack();
      throw error;
    },
  };
  app.post('/v2/repository/index', options, async (request) => {
    const { ready } = await readBody(indexRequest, request, state);
    return repositoryOf(state)
      .index.map(({ name, version, reason }) => ({
        name,
        version: version ?? '',
        state: version === undefined ? 'UNAVAILABLE' : 'READY',
        reason: reason ?? '',
      }))
      .filter((listed) => !ready || listed.state === 'READY');
  });
  app.post<{ Params: Named }>('/v2/repository/models/:name/load', options, async (request, reply) => {
    const { parameters = {} } = await readBody(loadRequest, request, state);
    const refused = Object.keys(parameters).find((key) => key === 'config' || key.startsWith('file:'));
    if (refused !== undefined) throw notTaken(`the parameter ${refused}`);
    await changeable(state).load(request.params.name);
    return reply.send();
  });
  app.post<{ Params: Named }>('/v2/repository/models/:name/unload', options, async (request, reply) => {
    await readBody(loadRequest, request, state); // unload_dependents makes no difference: nothing depends on a family
    await changeable(state).unload(request.params.name);
    return reply.send();
  });
}

function repositoryOf(state: State): ModelRepository {
  if (!state.repository || state.draining) state.assertReady(); // raises not-ready or draining
  return state.repository as ModelRepository;
}

/** Raises DimmerError not-ready, draining or refused-model. */
function changeable(state: State): ModelRepository {
  if (state.leaving) state.assertStaysReady(); // raises draining: no family is loaded any more
  const repository = repositoryOf(state);
  if (!repository.watches) return repository;
  throw new DimmerError('refused-model', {
    detail: 'families follow the folders of MODELS_DIR by themselves (MODELS_WATCH=on)',
    expected: 'a change of the folders',
    action: 'change the folder, or set MODELS_WATCH=off',
  });
}

/** The JSON of the body; {} if there is none. Raises DimmerError invalid-request. */
async function readBody<T>(schema: z.ZodType<T>, request: FastifyRequest, state: State): Promise<T> {
  const body = await state.uploads.read(request.raw, MAX_BYTES);
  const text = body.bytes.toString();
  body.release();
  let json: unknown;
  try {
    json = text === '' ? {} : JSON.parse(text);
  } catch {
    // undefined is refused below
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [member] = parsed.error.issues[0]?.path ?? [];
  throw notTaken(member === undefined ? 'a body that is no JSON object' : `this value of ${String(member)}`);
}

const notTaken = (what: string): DimmerError =>
  new DimmerError('invalid-request', {
    detail: `${what} is not taken`,
    expected: 'nothing, or JSON as tritonclient sends it without config and files',
    action: 'put the family into MODELS_DIR and load it by its name',
  });
