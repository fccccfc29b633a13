/** Makes openapi.yaml from the schemas. */
import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { stringify } from 'yaml';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../errors.js';
import { problems, quotas, requestId, text } from './openapi-errors.js';
import {
  budgetHeader,
  classification,
  classifyQuery,
  health,
  liveHello,
  liveSample,
  model,
  models,
  ready,
} from './schemas.js';
import { describeV2 } from './v2/openapi.js';

const CLASSIFY_ERRORS: ErrorCode[] = ERROR_CODES.filter((c) => c !== 'not-found' && c !== 'method-not-allowed');

/** The OpenAPI 3.1 document. */
export function openApiDocument() {
  const registry = new OpenAPIRegistry();
  const description = 'An API key. Needed where the service has REQUIRE_API_KEY=true';
  registry.registerComponent('securitySchemes', 'apiKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-Api-Key',
    description,
  });
  registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer', description });
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
      }),
      body: {
        required: true,
        description: 'The bytes of one picture (JPEG, PNG, WebP, AVIF, GIF or TIFF), or a form with parts named image',
        content: {
          'image/*': { schema: picture },
          'application/octet-stream': { schema: picture },
          'multipart/form-data': {
            schema: z.strictObject({
              image: z.array(z.string().meta({ contentMediaType: 'application/octet-stream' })).min(1),
            }),
            encoding: { image: { contentType: 'image/*' } },
          },
        },
      },
    },
    responses: {
      200: {
        description: 'Labels for every picture, and what they cost',
        headers: z.object({
          ...requestId,
          ...quotas,
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
    { request = {}, open = false } = {},
  ) =>
    registry.registerPath({
      method: 'get',
      path,
      operationId,
      summary,
      tags: ['service'],
      request,
      ...(open ? { security: [] } : {}),
      responses: {
        ...responses,
        ...problems(open ? ['headers-too-large'] : ['unauthorized', 'headers-too-large']),
      } as never,
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
    { request: { params: z.object({ name: z.string().meta({ example: 'cifar10' }) }) } },
  );
  // A stream is described by its events, as OpenAPI 3.2 has it; 3.1 says nothing of streams.
  const event = (name: string, data: string) =>
    z.strictObject({
      event: z.literal(name),
      data: z
        .string()
        .meta({ contentMediaType: 'application/json', contentSchema: { $ref: `#/components/schemas/${data}` } }),
    });
  registry.register('LiveHello', liveHello);
  registry.register('LiveSample', liveSample);
  page('/live', 'live', 'Live figures of the service, once a second', {
    200: {
      description:
        'An endless stream of server-sent events: one `hello` whose data is a LiveHello, then a `sample` each second whose data is a LiveSample. All clients get the same samples. Not available with PLAYGROUND=off.',
      headers: z.object(requestId),
      content: {
        'text/event-stream': { schema: z.union([event('hello', 'LiveHello'), event('sample', 'LiveSample')]) },
      },
    },
    ...problems(['overloaded', 'not-ready', 'draining', 'not-found']),
  });
  page('/healthz', 'health', 'Whether the process is alive', { 200: json('Alive', health) }, { open: true });
  page(
    '/readyz',
    'ready',
    'Whether the service takes requests',
    { 200: json('Ready', ready), ...problems(['not-ready', 'draining']) },
    { open: true },
  );
  page('/metrics', 'metrics', 'Prometheus metrics; on ADMIN_PORT if that is set', {
    200: {
      description: 'Metrics; in OpenMetrics for clients that prefer it',
      content: { 'text/plain': { schema: z.string() }, 'application/openmetrics-text': { schema: z.string() } },
    },
    ...problems(['not-found']),
  });
  page('/openapi.yaml', 'openapi', 'This document', {
    200: {
      description: 'OpenAPI 3.1',
      content: { 'application/yaml': { schema: z.looseObject({ openapi: z.string() }) } },
    },
  });
  describeV2(registry);
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'dimmer',
      version: '1.0.0',
      description: 'Image classification in which every request says what it may cost.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    // Without REQUIRE_API_KEY a key is not needed, and says whose quota a request counts for.
    security: [{ apiKey: [] }, { bearer: [] }, {}],
    tags: [
      { name: 'classify', description: 'Pictures to labels' },
      { name: 'service', description: 'The families served, and the state of the service' },
      { name: 'v2', description: 'The Open Inference Protocol, for clients of Triton and KServe' },
    ],
  });
}

/** The text of openapi.yaml. */
export const openApiYaml = () => stringify(openApiDocument(), { aliasDuplicateObjects: false });
