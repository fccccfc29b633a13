/** zod schemas of the Open Inference Protocol (v2, REST) as this service has it. openapi.yaml is made from them. */
import { z } from 'zod';
import { OUTPUTS } from './outputs.js';
import { INPUTS } from './tensors.js';

/**
 * Characters of a request's id. It comes back, and answers wait in memory until their clients read them. Far above the 36
 * of a UUID.
 */
export const MOST_ID_CHARS = 1000;

const nonEmpty = z.string().min(1);
const shape = z.array(z.int().nonnegative().max(Number.MAX_SAFE_INTEGER)).max(8);

export const parameters = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
  .meta({ description: 'Names and values; docs/protocols.md says which ones are read' });

export const v2Error = z.strictObject({ error: z.string() }).meta({
  id: 'V2Error',
  description: 'Code, what was wrong, what would have been right, and what to do',
  example: {
    error:
      'unknown-model: there is no model x; expected: one of cifar10; what to do: choose one of these; GET /models describes them',
  },
});

export const v2Live = z.strictObject({ live: z.boolean() }).meta({ id: 'V2Live', example: { live: true } });

export const v2Ready = z
  .strictObject({
    live: z.boolean().meta({ description: 'The name in the specification' }),
    ready: z.boolean().meta({ description: 'The name that clients of KServe read' }),
  })
  .meta({ id: 'V2Ready', example: { live: true, ready: true } });

export const v2ModelReady = z
  .strictObject({ name: z.string(), ready: z.boolean() })
  .meta({ id: 'V2ModelReady', example: { name: 'cifar10', ready: true } });

export const v2Server = z
  .strictObject({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({
    id: 'V2Server',
    example: { name: 'dimmer', version: '0.1.0', extensions: ['binary_tensor_data', 'classification'] },
  });

const metadataTensor = z.strictObject({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.int().min(-1)).meta({ description: '-1: any' }),
});

export const v2Model = z
  .strictObject({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(metadataTensor).meta({ description: 'A request brings one of them' }),
    outputs: z.array(metadataTensor),
  })
  .meta({
    id: 'V2Model',
    example: {
      name: 'cifar10',
      versions: ['3f9a0c1b22d4'],
      platform: 'onnx_onnxv1',
      inputs: [
        { name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] },
        { name: 'image_bytes', datatype: 'BYTES', shape: [-1] },
      ],
      outputs: [
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 10] },
        { name: 'logits', datatype: 'FP32', shape: [-1, 10] },
      ],
    },
  });

/** Checked where a request is read (tensors.ts): a schema would check each number of a picture by a function call. */
const data = z.unknown().meta({
  type: 'array',
  items: {},
  description: 'Numbers or text, in the shape of the tensor or flat; BYTES are base64 in a request',
});

/** Described as what there is; what there is not, is refused by a message that lists it. */
const oneOf = (values: readonly string[]) => nonEmpty.meta({ enum: [...values] });

export const requestInput = z.object({
  name: oneOf(INPUTS.map((i) => i.name)),
  shape,
  datatype: oneOf(INPUTS.map((i) => i.datatype)),
  parameters: parameters.optional(),
  data: data.optional(),
});

export const requestOutput = z.object({ name: oneOf(OUTPUTS.map((o) => o.name)), parameters: parameters.optional() });

export const inferRequest = z
  .object({
    id: z.string().max(MOST_ID_CHARS).optional().meta({ description: 'Comes back in the answer' }),
    parameters: parameters.optional(),
    inputs: z.array(requestInput).min(1).meta({ maxItems: 1 }),
    outputs: z.array(requestOutput).optional().meta({ description: 'If missing or empty: all' }),
  })
  .meta({
    id: 'V2InferRequest',
    example: {
      id: '42',
      parameters: { budget_cost: 0.5 },
      inputs: [{ name: 'image', shape: [1, 1, 1, 3], datatype: 'UINT8', data: [12, 200, 7] }],
      outputs: [{ name: 'probabilities', parameters: { classification: 1 } }],
    },
  });

const responseOutput = z.strictObject({
  name: z.string(),
  shape,
  datatype: z.string(),
  parameters: parameters.optional(),
  data: z
    .array(z.union([z.number(), z.string()]))
    .optional()
    .meta({ description: 'Flat; missing if the tensor follows as binary data' }),
});

export const inferResponse = z
  .strictObject({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    parameters: z.strictObject({
      instance: z
        .string()
        .meta({ description: 'The instance that ran; of several pictures one for each, separated by commas' }),
      reason: z.string().meta({ description: 'What decided the choice of the instance' }),
      cost_flops: z.int().meta({ description: 'FLOPs of all pictures together' }),
      cost_share: z.number().meta({ description: "The same as shares of the full network's FLOPs" }),
      budget_met: z.boolean().meta({ description: 'Whether every limit of the budget was kept, as measured' }),
      total_ms: z.number().meta({ description: 'From the last body byte read to the answer' }),
    }),
    outputs: z.array(responseOutput),
  })
  .meta({
    id: 'V2InferResponse',
    example: {
      model_name: 'cifar10',
      model_version: '3f9a0c1b22d4',
      id: '42',
      parameters: {
        instance: 'p02-r500',
        reason: 'most accurate within cost 0.5',
        cost_flops: 269325312,
        cost_share: 0.343,
        budget_met: true,
        total_ms: 4.8,
      },
      outputs: [{ name: 'probabilities', shape: [1, 1], datatype: 'BYTES', data: ['0.91:3:cat'] }],
    },
  });

const memory = z.strictObject({ type: z.string(), id: z.int(), byte_size: z.int() });
const duration = z.strictObject({ count: z.int(), ns: z.int() });
const stages = { compute_input: duration, compute_infer: duration, compute_output: duration };

export const v2Statistics = z
  .strictObject({
    model_stats: z.array(
      z.strictObject({
        name: z.string(),
        version: z.string(),
        last_inference: z.int().meta({ description: 'ms since 1970; 0: there was none' }),
        inference_count: z.int().meta({ description: 'Pictures answered' }),
        execution_count: z.int().meta({ description: 'Runs of a network' }),
        inference_stats: z
          .strictObject({
            success: duration,
            fail: duration,
            queue: duration,
            ...stages,
            cache_hit: duration,
            cache_miss: duration,
          })
          .meta({ description: 'success and fail count requests, the others pictures; compute_input is decoding' }),
        response_stats: z.strictObject({}).meta({ description: 'Empty: it is for models that answer more than once' }),
        batch_stats: z.array(z.strictObject({ batch_size: z.int(), ...stages })),
        memory_usage: z
          .array(memory)
          .meta({ description: 'The copy of the weights that all instances share, if they do' }),
      }),
    ),
  })
  .meta({
    id: 'V2Statistics',
    description: 'Since the start, of all requests that classify, by any protocol',
    example: { model_stats: [] },
  });

/** An empty body, which tritonclient sends, counts as an object without members. */
export const indexRequest = z
  .object({ ready: z.boolean().optional().meta({ description: 'Only models that are ready' }) })
  .meta({ id: 'V2IndexRequest', example: { ready: true } });

export const repositoryIndex = z
  .array(z.strictObject({ name: z.string(), version: z.string(), state: z.string(), reason: z.string() }))
  .meta({ id: 'V2Index', example: [{ name: 'cifar10', version: '3f9a0c1b22d4', state: 'READY', reason: '' }] });
