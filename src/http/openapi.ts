/** Makes openapi.yaml from the schemas. */
import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { stringify } from 'yaml';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../errors.js';
import { PROBLEM_MEDIA, PROBLEM_TYPE, PROBLEMS } from './problem.js';
import {
  budgetHeader,
  classification,
  classifyQuery,
  health,
  liveHello,
  liveSample,
  model,
  models,
  problem,
  ready,
} from './schemas.js';

const CLASSIFY_ERRORS: ErrorCode[] = ERROR_CODES.filter((c) => c !== 'not-found' && c !== 'method-not-allowed');
const text = (description: string, example?: string) =>
  z.string().meta({ description, ...(example === undefined ? {} : { example }) });
const requestId = { 'X-Request-Id': text('Names this request in the log') };

/** OpenAPI responses for error codes: one response for each status, with an example for each code. */
function problems(codes: readonly ErrorCode[]) {
  const statuses = [...new Set(codes.map((c) => PROBLEMS[c].status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const here = codes.filter((c) => PROBLEMS[c].status === status);
      const examples = here.map((code) => {
        const { title } = PROBLEMS[code];
        const value = {
          type: `${PROBLEM_TYPE}${code}`,
          title,
          status,
          detail: 'what was wrong',
          expected: 'what would be right',
          action: 'what to do',
        };
        return [code, { summary: title, value }];
      });
      const retry =
        status === 503 || status === 429 ? { 'Retry-After': text('Seconds after which to try again', '1') } : {};
      return [
        status,
        {
          description: here.map((c) => `${c}: ${PROBLEMS[c].title}`).join('; '),
          headers: z.object({ ...requestId, ...retry }),
          content: { [PROBLEM_MEDIA]: { schema: problem, examples: Object.fromEntries(examples) } },
        },
      ];
    }),
  );
}

/** The OpenAPI 3.1 document. */
export function openApiDocument() {
  const registry = new OpenAPIRegistry();
  const json = (description: string, schema: z.ZodType) => ({
    description,
    headers: z.object(requestId),
    content: { 'application/json': { schema } },
  });
  const picture = {
    type: 'string',
    contentMediaType: 'application/octet-stream',
    description: 'The bytes of the file; its format is recognised by them, not by Content-Type',
  } as const;
  registry.registerPath({
    method: 'post',
    path: '/classify',
    operationId: 'classify',
    summary: 'Classify pictures within a budget',
    description:
      'The clock of `latency` runs from the last body byte read to the answer handed to the socket, decoding included.',
    tags: ['classify'],
    request: {
      query: classifyQuery,
      headers: z.object({
        'Inference-Budget': budgetHeader.optional(),
        'X-Api-Key': text('Whose quota this request counts for, where the service has quotas').optional(),
      }),
      body: {
        required: true,
        description: 'The bytes of one picture (JPEG, PNG, WebP, AVIF, GIF or TIFF), or a form with parts named image',
        content: {
          'image/*': { schema: picture },
          'application/octet-stream': { schema: picture },
          'multipart/form-data': {
            schema: z.object({
              image: z.array(z.string().meta({ contentMediaType: 'application/octet-stream' })).min(1),
            }),
          },
        },
      },
    },
    responses: {
      200: {
        description: 'Labels for every picture, and what they cost',
        headers: z.object({
          ...requestId,
          'Server-Timing': text(
            'Duration of each stage in ms; of several pictures the longest',
            'decode;dur=0.4, queue;dur=1.1, infer;dur=2.9, total;dur=4.8',
          ),
          'Inference-Cost': text(
            'FLOPs and share of the full FLOPs, summed over the pictures, and the instances used (RFC 9651)',
            'flops=269325312, share=0.343, instances=("p02-r500")',
          ),
        }),
        content: { 'application/json': { schema: classification } },
      },
      ...problems(CLASSIFY_ERRORS),
    },
  });
  const page = (
    path: string,
    operationId: string,
    summary: string,
    responses: Record<string | number, object>,
    request = {},
  ) =>
    registry.registerPath({
      method: 'get',
      path,
      operationId,
      summary,
      tags: ['service'],
      request,
      responses: { ...responses, ...problems(['headers-too-large']) } as never,
    });
  page('/models', 'listModels', 'Families served, their instances, accuracy and latency on this host', {
    200: json('All families', models),
    ...problems(['not-ready']),
  });
  page(
    '/models/{name}',
    'getModel',
    'One family',
    { 200: json('The family', model), ...problems(['unknown-model', 'not-ready']) },
    { params: z.object({ name: z.string().meta({ example: 'cifar10' }) }) },
  );
  page('/live', 'live', 'Live figures of the service, once a second', {
    200: {
      description:
        'An endless stream of server-sent events: one `hello` whose data is a LiveHello, then a `sample` each second whose data is a LiveSample. All clients get the same samples. Not available with PLAYGROUND=off.',
      headers: z.object(requestId),
      content: { 'text/event-stream': { schema: z.union([liveHello, liveSample]) } },
    },
    ...problems(['overloaded', 'not-ready', 'draining', 'not-found']),
  });
  page('/healthz', 'health', 'Whether the process is alive', { 200: json('Alive', health) });
  page('/readyz', 'ready', 'Whether the service takes requests', {
    200: json('Ready', ready),
    ...problems(['not-ready', 'draining']),
  });
  page('/metrics', 'metrics', 'Prometheus metrics; on ADMIN_PORT if that is set', {
    200: {
      description: 'Metrics; in OpenMetrics for clients that prefer it',
      content: { 'text/plain': { schema: z.string() }, 'application/openmetrics-text': { schema: z.string() } },
    },
    ...problems(['not-found']),
  });
  page('/openapi.yaml', 'openapi', 'This document', {
    200: { description: 'OpenAPI 3.1', content: { 'application/yaml': { schema: z.string() } } },
  });
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'dimmer',
      version: '1.0.0',
      description: 'Image classification in which every request says what it may cost.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [],
    tags: [
      { name: 'classify', description: 'Pictures to labels' },
      { name: 'service', description: 'The families served, and the state of the service' },
    ],
  });
}

/** The text of openapi.yaml. */
export const openApiYaml = () => stringify(openApiDocument(), { aliasDuplicateObjects: false });
