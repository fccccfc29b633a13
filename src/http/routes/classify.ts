import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { serializeDictionary } from 'structured-headers';
import type { z } from 'zod';
import type { Classification, Result } from '../../classify.js';
import type { Config } from '../../config.js';
import { DimmerError } from '../../errors.js';
import { picturesOf } from '../body.js';
import { toDimmerError } from '../problem.js';
import { classifyQuery } from '../schemas.js';
import type { Service, State } from '../state.js';

/** The client closed the connection before its answer; there is nobody to tell. */
class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Status (nginx's) and reason of requests whose client did not wait for the answer, or broke off its upload. */
const GONE = [499, 'client-gone'] as const;

/** Calls back once the answer is wholly sent or can no longer be; at once if that is so already. */
function whenClosed(response: ServerResponse, callback: () => void): void {
  if (response.closed) callback();
  else response.once('close', callback);
}

/** quota: refuses clients that have used theirs up; it runs first. */
export function classifyRoute(app: FastifyInstance, state: State, quota: onRequestAsyncHookHandler | undefined): void {
  const { config, metrics } = state;

  /** Before the body is read: what will be refused anyway should cost neither memory nor the client's time. */
  const accept: onRequestAsyncHookHandler = async (request, reply) => {
    if (!MEDIA_TYPE.test(request.headers['content-type'] ?? '')) delete request.raw.headers['content-type'];
    const most = mostBytes(request, config);
    const announced = Number(request.headers['content-length'] ?? Number.NaN);
    if (announced > most) throw tooLarge(announced, most);
    request.held = Number.isFinite(announced) ? announced : most;
    state.inFlight++;
    state.waitingBytes += request.held;
    reply.raw.once('close', () => {
      state.inFlight--;
      state.waitingBytes -= request.held;
    });
    state.assertReady();
    // Kept for the handler: what is accepted is finished, also when draining begins while the body arrives.
    request.service = state.service;
    const { scheduler } = state.service;
    if (scheduler.full) throw scheduler.overloaded(1);
    if (state.waitingBytes > config.MAX_WAITING_BYTES) throw tooManyBytes(config.MAX_WAITING_BYTES);
  };

  app.post('/classify', {
    onRequest: [...(quota ? [quota] : []), accept],
    handler: async (request, reply) => {
      const gone = new AbortController();
      // request.signal aborts as soon as the body is read (fastify#6725); this does not.
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) gone.abort(new ClientGone('the client closed the connection'));
      });
      const query = parseQuery(request.query);
      const images = await picturesOf(request);
      const answer = await (request.service as Service).classifier.classify({
        images,
        budget: budgetText(request),
        model: query.model,
        instance: query.instance,
        top: query.top,
        startMs: request.isMultipart() ? state.clock.now() : (request.bodyReadMs ?? state.clock.now()),
        signal: gone.signal,
      });
      metrics.requests.inc({ status: 200, reason: 'ok' });
      reply
        .header('Server-Timing', serverTiming(answer.results))
        .header('Inference-Cost', inferenceCost(answer.results));
      request.log.info(logFacts(answer), 'answered');
      return answer;
    },
    errorHandler: (error, request, reply) => {
      const { code } = toDimmerError(error);
      whenClosed(reply.raw, () => {
        const [status, reason] = reply.raw.writableFinished ? [reply.statusCode, code] : GONE;
        metrics.requests.inc({ status, reason });
        if (reason === 'client-gone') request.log.info({ reason }, 'client gone');
      });
      if (error instanceof ClientGone) return reply.hijack();
      throw error; // on to the handler of the application
    },
  });
}

/** What Fastify can tell apart; anything else is as good as none, for the bytes decide. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;|$)/;
/** For the lines between the pictures of a form. */
const FORM_LINES_BYTES = 64 * 1024;

/** The largest body that this request may have. */
function mostBytes(request: FastifyRequest, config: Config): number {
  const form = request.isMultipart() ? config.MAX_IMAGES * config.MAX_IMAGE_BYTES + FORM_LINES_BYTES : 0;
  return Math.min(config.MAX_WAITING_BYTES, Math.max(config.MAX_IMAGE_BYTES, form));
}

function tooLarge(bytes: number, most: number): DimmerError {
  return new DimmerError('image-too-large', {
    detail: `the body has ${bytes} bytes`,
    expected: `at most ${most} bytes (MAX_IMAGE_BYTES, MAX_IMAGES, MAX_WAITING_BYTES)`,
    action: 'make the pictures smaller, or send them in several requests',
  });
}

function tooManyBytes(limit: number): DimmerError {
  return new DimmerError('overloaded', {
    detail: `the bodies of waiting requests would pass ${limit} bytes (MAX_WAITING_BYTES)`,
    expected: 'room for the whole body',
    action: 'try again after the time in Retry-After, or send smaller pictures',
    retryAfterS: 1,
  });
}

function parseQuery(query: unknown): z.infer<typeof classifyQuery> {
  const parsed = classifyQuery.safeParse(query);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0] as z.core.$ZodIssue;
  throw new DimmerError('invalid-request', {
    detail: `query parameter${path.length ? ` ${String(path[0])}` : ''}: ${message}`,
    expected: 'model=<family>, top=<1 to 1000>, instance=<id>, each at most once',
    action: 'correct the query; /openapi.yaml describes it',
  });
}

function budgetText(request: FastifyRequest): string | undefined {
  const header = request.headers['inference-budget'];
  return Array.isArray(header) ? header.join(', ') : header;
}

function serverTiming(results: readonly Result[]): string {
  const longest = (stage: keyof Result['timing']) => Math.max(...results.map((r) => r.timing[stage]));
  const stages = { decode: 'decodeMs', queue: 'queueMs', infer: 'inferenceMs', total: 'totalMs' } as const;
  return Object.entries(stages)
    .map(([name, stage]) => `${name};dur=${longest(stage)}`)
    .join(', ');
}

/** Sums over the pictures, as a structured field; decimals there have three digits. */
function inferenceCost(results: readonly Result[]): string {
  const total = (of: (r: Result) => number) => results.map(of).reduce((a, b) => a + b, 0);
  const instances = [...new Set(results.map((r) => r.model_instance.id))];
  return serializeDictionary(
    new Map<string, never>([
      ['flops', [total((r) => r.cost.flops), new Map()] as never],
      ['share', [Number(total((r) => r.cost.share).toFixed(3)), new Map()] as never],
      ['instances', [instances.map((id) => [id, new Map()]), new Map()] as never],
    ]),
  );
}

function logFacts({ model, modelVersion, budget, results }: Classification) {
  const pictures = results.map((r) => ({
    instance: r.model_instance.id,
    flops: r.cost.flops,
    batchSize: r.batchSize,
    ...r.timing,
  }));
  return { model, modelVersion, budget, pictures };
}

declare module 'fastify' {
  interface FastifyRequest {
    /** When the last body byte was read, in the clock's ms; undefined for forms and empty bodies. */
    bodyReadMs: number | undefined;
    /** Bytes this request counts for in State.waitingBytes. */
    held: number;
    /** Who answers it. */
    service: Service | undefined;
  }
}
