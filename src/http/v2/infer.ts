/** Inference by the Open Inference Protocol over REST: the service, limits, quotas and figures of POST /classify. */
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Ask, Classifier, Scored } from '../../classify.js';
import type { Config } from '../../config.js';
import { ANY_BUDGET } from '../../oip/budget.js';
import { type Named, servedOf } from '../../oip/models.js';
import {
  allowAnyMediaType,
  answered,
  assertLength,
  begin,
  budgetText,
  failing,
  leaving,
  paying,
} from '../answering.js';
import type { Service, State } from '../state.js';
import { answerOf } from './answer.js';
import { assertJsonLength, jsonLengthOf, readRequest } from './request.js';
import { ofModel } from './routes.js';
import { type Coding, codingOf, unpacked } from './unpack.js';

const LIMITS =
  'MAX_JSON_BYTES for JSON, MAX_REQUEST_BYTES with binary data, MAX_IMAGE_BYTES for one picture file alone, MAX_WAITING_BYTES';

/** Adds the routes. quota: hook that refuses clients over their quota; it runs first. */
export function inferRoutes(app: FastifyInstance, state: State, quota: onRequestAsyncHookHandler | undefined): void {
  const { config } = state;
  app.decorateRequest('inferring', undefined);

  const accept: onRequestAsyncHookHandler = async (request, reply) => {
    const { headers } = request.raw;
    allowAnyMediaType(headers);
    const coding = codingOf(headers['content-encoding']);
    const jsonLength = jsonLengthOf(headers['inference-header-content-length']);
    if (jsonLength !== undefined) assertJsonLength(jsonLength, config);
    const most = mostBytes(jsonLength, config);
    assertLength(request, most, LIMITS);
    const classifier = begin(state, reply);
    const model = servedOf(state.service, request.params as Named).family.name;
    const question = { model, instance: undefined, top: 1 };
    classifier.judge({ ...question, budget: budgetText(request) ?? ANY_BUDGET });
    request.inferring = { classifier, question, coding, jsonLength, most, ask: undefined };
  };

  for (const url of ofModel('/infer')) {
    app.post(url, {
      onRequest: [...(quota ? [quota] : []), accept],
      handler: async (request, reply) => {
        const signal = leaving(reply);
        const inferring = request.inferring as Inferring;
        const { classifier, question, coding, jsonLength, most } = inferring;
        const source = unpacked(request.raw, coding);
        const body = await state.uploads.read(source, most).finally(() => source !== request.raw && source.destroy());
        let scored: Scored;
        let asked: ReturnType<typeof readRequest>;
        try {
          asked = readRequest(body.bytes, jsonLength, config);
          const { pictures: images, parameters } = asked;
          // Pixels and base64 are copied. Files in binary data are views of the body, which has to stay.
          if (images.every((image) => image.buffer !== body.bytes.buffer))
            body.becomes(images.reduce((sum, image) => sum + image.length, 0));
          // Again: while the body came, another version may have taken the place of the one that the path names.
          servedOf(state.running as Service, request.params as Named);
          inferring.ask = classifier.judge({
            ...question,
            budget: budgetText(request),
            parameters,
            trace: request.trace,
          });
          const decoded = () => {
            images.length = 0; // else the encoded pictures would stay in memory until the answer
            body.release();
          };
          const ran = paying(state, request);
          scored = await classifier.score(inferring.ask, {
            images,
            startMs: body.readMs,
            signal,
            decoded,
            ran,
            trace: request.trace,
          });
        } finally {
          body.release();
        }
        answered(state, request, reply, inferring.ask, scored.answer);
        const { body: bytes, jsonLength: length } = answerOf(
          scored,
          inferring.ask.served.family.labels,
          asked.wanted,
          asked.id,
        );
        if (length !== undefined) reply.header('Inference-Header-Content-Length', length);
        return reply.type(length === undefined ? 'application/json' : 'application/octet-stream').send(bytes);
      },
      errorHandler: failing(state, (request) => promisedMs(request, state)),
    });
  }
}

/** The latency that a request asks for, in ms: until its body is read, that of its header. */
function promisedMs(request: FastifyRequest, { running }: State): number | undefined {
  const { ask } = request.inferring ?? {};
  return ask ? ask.budget.latency : running?.classifier.latencyOf(budgetText(request));
}

/** What is known of a request once its head is accepted. */
interface Inferring {
  readonly classifier: Classifier;
  readonly question: { readonly model: string; readonly instance: undefined; readonly top: number };
  readonly coding: Coding | undefined;
  readonly jsonLength: number | undefined;
  readonly most: number;
  /** Set once the body is read. */
  ask: Ask | undefined;
}

/** The largest body that this request may have, in bytes, after unpacking. */
function mostBytes(jsonLength: number | undefined, config: Config): number {
  const { MAX_JSON_BYTES, MAX_IMAGE_BYTES, MAX_REQUEST_BYTES, MAX_WAITING_BYTES } = config;
  const most = jsonLength === undefined ? MAX_JSON_BYTES : jsonLength === 0 ? MAX_IMAGE_BYTES : MAX_REQUEST_BYTES;
  return Math.min(most, MAX_WAITING_BYTES);
}

declare module 'fastify' {
  interface FastifyRequest {
    inferring: Inferring | undefined;
  }
}
