/** POST /classify: checks the head, reads the body, and answers with labels and costs. */
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { z } from 'zod';
import type { Ask, Classification, Classifier } from '../../classify.js';
import type { Config } from '../../config.js';
import { DimmerError } from '../../errors.js';
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
import { isForm, picturesOfForm } from '../form.js';
import { classifyQuery } from '../schemas.js';
import type { State } from '../state.js';

/** Adds the route. quota: hook that refuses clients over their quota; it runs first. */
export function classifyRoute(app: FastifyInstance, state: State, quota: onRequestAsyncHookHandler | undefined): void {
  const { config } = state;

  /** Refuses a request before its body is read where the head suffices, which saves memory and the client's time. */
  const accept: onRequestAsyncHookHandler = async (request, reply) => {
    const { headers } = request.raw;
    const type = headers['content-type'];
    request.formType = isForm(type) ? type : undefined;
    allowAnyMediaType(headers);
    assertPlain(headers['content-encoding']);
    assertLength(request, mostBytes(request, config), LIMITS);
    const classifier = begin(state, reply);
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
      const signal = leaving(reply);
      const { ask, classifier } = request.accepted as Accepted;
      const body = await state.uploads.read(request.raw, mostBytes(request, config));
      let answer: Classification;
      try {
        const { formType } = request;
        const images = formType === undefined ? [body.bytes] : picturesOfForm(formType, body.bytes, config);
        const decoded = () => {
          images.length = 0; // else the encoded pictures would stay in memory until the answer
          body.release();
        };
        const { trace } = request;
        answer = await classifier.classify(ask, {
          images,
          startMs: body.readMs,
          signal,
          decoded,
          trace,
          ran: paying(state, request),
        });
      } finally {
        body.release();
      }
      answered(state, request, reply, ask, answer);
      return answer;
    },
    errorHandler: failing(state, (request) => state.running?.classifier.latencyOf(budgetText(request))),
  });
}

/** A request whose body may be read. */
interface Accepted {
  readonly classifier: Classifier;
  readonly ask: Ask;
}

const LIMITS = 'MAX_IMAGE_BYTES for a picture, MAX_REQUEST_BYTES for a form, MAX_WAITING_BYTES';

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

declare module 'fastify' {
  interface FastifyRequest {
    /** Content-Type of a form; undefined for any other body. */
    formType: string | undefined;
    /** Set once the head is accepted. */
    accepted: Accepted | undefined;
  }
}
