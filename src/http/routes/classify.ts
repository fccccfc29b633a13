import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { serializeDictionary } from 'structured-headers';
import type { z } from 'zod';
import type { Ask, Classification, Classifier, Result } from '../../classify.js';
import type { Config } from '../../config.js';
import { DimmerError } from '../../errors.js';
import type { Answered } from '../../telemetry/live.js';
import { isForm, picturesOfForm } from '../form.js';
import { toDimmerError } from '../problem.js';
import { classifyQuery } from '../schemas.js';
import type { State } from '../state.js';
import { ClientGone } from '../uploads.js';

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
    const { headers } = request.raw;
    const type = headers['content-type'];
    request.formType = isForm(type) ? type : undefined;
    if (!MEDIA_TYPE.test(type ?? '')) delete headers['content-type'];
    assertPlain(headers['content-encoding']);
    const most = mostBytes(request, config);
    const announced = Number(headers['content-length'] ?? Number.NaN);
    if (announced > most) throw tooLarge(announced, most);
    state.inFlight++;
    reply.raw.once('close', () => {
      state.inFlight--;
    });
    state.assertReady();
    const { classifier } = state.service;
    // Kept for the handler: what is accepted is finished, also when draining begins while the body arrives.
    const query = parseQuery(request.query);
    request.accepted = { classifier, ask: classifier.judge({ ...query, budget: budgetText(request) }) };
  };

  app.post('/classify', {
    onRequest: [...(quota ? [quota] : []), accept],
    handler: async (request, reply) => {
      const gone = new AbortController();
      // request.signal aborts as soon as the body is read (fastify#6725); this does not.
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) gone.abort(new ClientGone('the client closed the connection'));
      });
      const { ask, classifier } = request.accepted as Accepted;
      const body = await state.uploads.read(request.raw as IncomingMessage, mostBytes(request, config));
      let answer: Classification;
      try {
        const { formType } = request;
        const images = formType === undefined ? [body.bytes] : picturesOfForm(formType, body.bytes, config);
        const decoded = () => {
          images.length = 0; // or they would live until the answer
          body.release();
        };
        answer = await classifier.classify(ask, { images, startMs: body.readMs, signal: gone.signal, decoded });
      } finally {
        body.release();
      }
      metrics.requests.inc({ status: 200, reason: 'ok' });
      state.live.answered(() => answeredFacts(answer, ask));
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
        if (reason !== 'client-gone') state.live.refused(() => brokenPromise(request, state, Number(status)));
        if (reason === 'client-gone') request.log.info({ reason }, 'client gone');
      });
      if (error instanceof ClientGone) return reply.hijack();
      throw error; // on to the handler of the application
    },
  });
}

/** A request whose body may be read. */
interface Accepted {
  readonly classifier: Classifier;
  readonly ask: Ask;
}

/** What Fastify can tell apart; anything else is as good as none, for the bytes decide. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;|$)/;

/** The largest body that this request may have. */
function mostBytes({ formType }: FastifyRequest, config: Config): number {
  const { MAX_IMAGE_BYTES, MAX_REQUEST_BYTES, MAX_WAITING_BYTES } = config;
  return Math.min(MAX_WAITING_BYTES, formType === undefined ? MAX_IMAGE_BYTES : MAX_REQUEST_BYTES);
}

/** The bytes are a picture's own: unpacking for the client would be another way to make few bytes many. */
function assertPlain(encoding: string | undefined): void {
  if (encoding === undefined || /^\s*(identity\s*)?$/i.test(encoding)) return;
  throw new DimmerError('unsupported-media', {
    detail: `the body has Content-Encoding: ${encoding.slice(0, 100)}`,
    expected: 'a body without Content-Encoding; pictures are compressed already',
    action: 'send the bytes of the file as they are',
  });
}

function tooLarge(bytes: number, most: number): DimmerError {
  return new DimmerError('image-too-large', {
    detail: `the body has ${bytes} bytes`,
    expected: `at most ${most} bytes (MAX_IMAGE_BYTES for a picture, MAX_REQUEST_BYTES for a form, MAX_WAITING_BYTES)`,
    action: 'make the pictures smaller, or send them in several requests',
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

/** What a request that is refused had been to be in: not where its client is to blame. */
function brokenPromise(request: FastifyRequest, state: State, status: number): number | undefined {
  if (status < 500 || !state.running) return undefined;
  return state.running.classifier.latencyOf(budgetText(request));
}

function answeredFacts({ model, budget, results }: Classification, { served }: Ask): Answered {
  return {
    model,
    pictures: results.map(({ model_instance: { id }, cost }) => {
      return { instance: id, accuracy: served.instance(id).accuracy, share: cost.share };
    }),
    totalMs: Math.max(...results.map((r) => r.timing.totalMs)),
    promisedMs: budget.latency,
  };
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
    /** Content-Type of a form; undefined for any other body. */
    formType: string | undefined;
    /** Who answers it, once it may be read. */
    accepted: Accepted | undefined;
  }
}
