/** Describes the Open Inference Protocol for openapi.yaml. */
import type { OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { DimmerError, ERROR_CODES, type ErrorCode } from '../../errors.js';
import {
  indexRequest,
  inferRequest,
  inferResponse,
  repositoryIndex,
  v2Error,
  v2Live,
  v2Model,
  v2ModelReady,
  v2Ready,
  v2Server,
  v2Statistics,
} from '../../oip/schemas.js';
import { problems, requestId, text } from '../openapi-errors.js';
import { budgetHeader } from '../schemas.js';
import { ERROR_MEDIA, toV2Error } from './errors.js';
import { JSON_LENGTH } from './request.js';

const WORDS = { detail: 'what was wrong', expected: 'what would be right', action: 'what to do' };
const ERROR_SHAPE = {
  media: ERROR_MEDIA,
  schema: v2Error,
  example: (code: ErrorCode) => toV2Error(new DimmerError(code, WORDS)),
};
const errors = (...codes: ErrorCode[]) => problems([...codes, 'headers-too-large'], ERROR_SHAPE);

const NOT_OF_INFER = ['not-found', 'method-not-allowed', 'unknown-instance', 'headers-too-large'];
const INFER_ERRORS = ERROR_CODES.filter((code) => !NOT_OF_INFER.includes(code));

const name = z.string().meta({ example: 'cifar10' });
const version = z.string().meta({ description: 'modelVersion of /models', example: '3f9a0c1b22d4' });
/** Each path that names a model, without and with a version. */
const OF_MODEL = [
  { path: '/v2/models/{name}', suffix: '', params: z.object({ name }) },
  { path: '/v2/models/{name}/versions/{version}', suffix: 'Version', params: z.object({ name, version }) },
];

const bytes = (description: string) => ({
  schema: { type: 'string', contentMediaType: 'application/octet-stream', description } as const,
});
const jsonLength = z
  .string()
  .regex(JSON_LENGTH)
  .meta({ description: 'Length of the JSON, where binary data follows it', example: '312' });

export function describeV2(registry: OpenAPIRegistry): void {
  const json = (description: string, schema: z.ZodType) => ({
    description,
    headers: z.object(requestId),
    content: { 'application/json': { schema } },
  });
  const get = (path: string, operationId: string, summary: string, responses: object, request = {}) =>
    registry.registerPath({
      method: 'get',
      path,
      operationId,
      summary,
      tags: ['v2'],
      request,
      responses: responses as never,
    });
  get('/v2', 'v2Server', 'The server', { 200: json('Name, version, extensions', v2Server), ...errors() });
  get('/v2/health/live', 'v2Live', 'Whether the process is alive', { 200: json('Alive', v2Live), ...errors() });
  get('/v2/health/ready', 'v2Ready', 'Whether the service takes requests', {
    200: json('Ready', v2Ready),
    ...errors('not-ready', 'draining'),
  });
  get('/v2/models/stats', 'v2AllStatistics', 'Counts and times of all models since the start', {
    200: json('Counts and times', v2Statistics),
    ...errors('not-ready', 'draining'),
  });
  for (const { path, suffix, params } of OF_MODEL) {
    const known = errors('unknown-model', 'not-ready', 'draining');
    const of = { params };
    get(path, `v2Model${suffix}`, 'Inputs and outputs of a model', { 200: json('The model', v2Model), ...known }, of);
    get(
      `${path}/ready`,
      `v2ModelReady${suffix}`,
      'Whether the service takes requests for this model',
      { 200: json('Ready', v2ModelReady), ...known },
      of,
    );
    get(
      `${path}/stats`,
      `v2Statistics${suffix}`,
      'Counts and times of a model since the start',
      { 200: json('Counts and times', v2Statistics), ...known },
      of,
    );
    registry.registerPath({
      method: 'post',
      path: `${path}/infer`,
      operationId: `v2Infer${suffix}`,
      summary: 'Classify pictures within a budget, by the Open Inference Protocol',
      description:
        'The budget is the header or flat parameters of the request (budget_cost and others), not both. The body may be compressed (gzip, deflate).',
      tags: ['v2'],
      request: {
        params,
        headers: z.object({
          'Inference-Budget': budgetHeader.optional(),
          'Inference-Header-Content-Length': jsonLength.optional(),
          'X-Api-Key': text('Whose quota this request counts for, where the service has quotas').optional(),
        }),
        body: {
          required: true,
          content: {
            'application/json': { schema: inferRequest },
            'application/octet-stream': bytes(
              'JSON, followed by the binary data of its input; with Inference-Header-Content-Length: 0 the bytes of one picture file alone',
            ),
          },
        },
      },
      responses: {
        200: {
          description: 'Scores or labels of every picture, and what they cost',
          headers: z.object({
            ...requestId,
            'Inference-Header-Content-Length': jsonLength.optional(),
            'Server-Timing': text(
              'Duration of each stage in ms; of several pictures the longest',
              'decode;dur=0.4, queue;dur=1.1',
            ),
            'Inference-Cost': text(
              'FLOPs and share of the full FLOPs, summed over the pictures',
              'flops=269325312, share=0.343, instances=("p02-r500")',
            ),
          }),
          content: {
            'application/json': { schema: inferResponse },
            'application/octet-stream': bytes('JSON, followed by the binary data of outputs'),
          },
        },
        ...errors(...INFER_ERRORS),
      } as never,
    });
  }
  registry.registerPath({
    method: 'post',
    path: '/v2/repository/index',
    operationId: 'v2Index',
    summary: 'All models',
    tags: ['v2'],
    request: { body: { required: false, content: { 'application/json': { schema: indexRequest } } } },
    responses: {
      200: json('One entry for each model', repositoryIndex),
      ...errors('invalid-request', 'image-too-large', 'not-ready', 'draining'),
    } as never,
  });
}
