/** POST /classify: checks the head, reads the body, and answers with labels and costs. */
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

/**
 * Status (499, as in nginx) and reason, in metrics, of requests whose client closed the connection before the answer.
 */
const GONE = [499, 'client-gone'] as const;

/** Calls back once the response is closed, sent completely or not; at once if it is closed already. */
function whenClosed(response: ServerResponse, callback: () => void): void {
  if (response.closed) callback();
  else response.once('close', callback);
}

/** Adds the route. quota: hook that refuses clients over their quota; it runs first. */
export function classifyRoute(app: FastifyInstance, state: State, quota: onRequestAsyncHookHandler | undefined): void {
  const { config, metrics } = state;

  /** Refuses a request before its body is read where the head suffices, which saves memory and the client's time. */
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
    // The handler uses this classifier, so that an accepted request is finished even if draining begins meanwhile.
    const query = parseQuery(request.query);
    request.accepted = {
      classifier,
      ask: classifier.judge({ ...query, budget: budgetText(request), trace: request.trace }),
    };
  };

  app.post('/classify', {
    onRequest: [...(quota ? [quota] : []), accept],
    handler: async (request, reply) => {
      const gone = new AbortController();
      // Not request.signal, which aborts as soon as the body is read (fastify#6725).
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
          images.length = 0; // else the encoded pictures would stay in memory until the answer
          body.release();
        };
        const { trace } = request;
        answer = await classifier.classify(ask, { images, startMs: body.readMs, signal: gone.signal, decoded, trace });
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
      throw error; // to the application's error handler (answer-problem.ts)
    },
  });
}

/** A request whose body may be read. */
interface Accepted {
  readonly classifier: Classifier;
  readonly ask: Ask;
}

/**
 * Media types that Fastify can parse. A request with any other Content-Type is treated as one without, because the
 * format of a picture is recognised by its bytes.
 */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;|$)/;

/** The largest body that this request may have, in bytes. */
function mostBytes({ formType }: FastifyRequest, config: Config): number {
  const { MAX_IMAGE_BYTES, MAX_REQUEST_BYTES, MAX_WAITING_BYTES } = config;
  return Math.min(MAX_WAITING_BYTES, formType === undefined ? MAX_IMAGE_BYTES : MAX_REQUEST_BYTES);
}

/** Refuses compressed bodies (Content-Encoding): unpacking would let few bytes of hostile input take much memory. */
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

/** The header Inference-Cost: sums over the pictures, as a structured field, in which decimals have three digits. */
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

/**
 * The latency, in ms, that a refused request asked for and that counts as a broken promise; undefined if it had none,
 * or if the client caused the refusal (4xx).
 */
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
    /** Set once the head is accepted. */
    accepted: Accepted | undefined;
  }
}
