/** zod schemas of requests and answers. openapi.yaml is made from them. */
import { extendZodWithOpenApi } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { wholeNumber } from '../config-values.js';
import { ERROR_CODES } from '../errors.js';
import { PROBLEM_TYPE, PROBLEMS } from './problem.js';

extendZodWithOpenApi(z);

const fraction = z.number().min(0).max(1);
const ms = z.number().nonnegative();

export const classifyQuery = z.strictObject({
  model: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Family to use; not needed if there is a default', example: 'cifar10' }),
  top: wholeNumber(1, 1000).default(5).meta({ description: 'How many labels, most probable first', example: 3 }),
  instance: z.string().min(1).optional().meta({
    description:
      'Runs the pictures on this instance of the family and on no other, also on one that is not served; the budget must allow it',
    example: 'p02-r500',
  }),
});

export const budgetHeader = z.string().meta({
  format: 'inference-budget',
  example: 'latency=250, cost=0.5, strict=?0',
  description: [
    'What the answer may cost: a structured-field dictionary (RFC 9651; decimals have at most three digits after the point).',
    '`flops`: at most these FLOPs for a picture. `cost`: at most this share of the full FLOPs, in (0, 1].',
    '`latency`: the whole answer within this many ms. `accuracy`: an instance of at least this accuracy (see /models), in (0, 1].',
    '`strict=?0`: if the budget cannot be met, the answer comes as near as possible instead of a refusal; under lasting load it may still be refused (503, Retry-After) after MAX_WAIT_MS. Members can be combined.',
  ].join('\n'),
});

export const prediction = z.strictObject({
  label: z.string(),
  index: z.int().nonnegative(),
  probability: fraction,
});

const network = z.string().optional().meta({
  description: "Its network, a name in the family's `networks`; absent: the family's own network, that of `full`",
});

export const result = z.strictObject({
  predictions: z.array(prediction),
  model_instance: z.strictObject({ id: z.string(), network, p: z.int(), r: z.number() }),
  reason: z.string().meta({ description: 'Why this instance was chosen' }),
  cost: z.strictObject({ flops: z.int(), share: z.number() }),
  batchSize: z.int().positive(),
  timing: z.strictObject({
    decodeMs: ms,
    queueMs: ms,
    inferenceMs: ms,
    totalMs: ms.meta({ description: 'From the last body byte read to the answer' }),
    predictedMs: ms.meta({ description: 'The total as predicted when the run began' }),
  }),
});

export const classification = z
  .strictObject({
    model: z.string(),
    modelVersion: z.string().meta({ description: 'First 12 hex digits of the SHA-256 of manifest.json' }),
    budget: z.strictObject({
      flops: z.number().optional(),
      cost: z.number().optional(),
      latency: z.number().optional(),
      accuracy: z.number().optional(),
      strict: z.boolean(),
      met: z.boolean().meta({ description: 'Whether every limit of the budget was kept, as measured' }),
    }),
    results: z.array(result).meta({ description: 'One for each picture, in the order of the request' }),
  })
  .meta({
    id: 'Classification',
    example: {
      model: 'cifar10',
      modelVersion: '3f9a0c1b22d4',
      budget: { cost: 0.5, strict: true, met: true },
      results: [
        {
          predictions: [{ label: 'cat', index: 3, probability: 0.91 }],
          model_instance: { id: 'p02-r500', p: 2, r: 0.5 },
          reason: 'most accurate within cost 0.5',
          cost: { flops: 269325312, share: 0.343 },
          batchSize: 4,
          timing: { decodeMs: 0.4, queueMs: 1.1, inferenceMs: 2.9, totalMs: 4.8, predictedMs: 5.2 },
        },
      ],
    },
  });

export const instanceInfo = z.strictObject({
  id: z.string(),
  network,
  p: z.int(),
  r: z.number(),
  precision: z.enum(['float32', 'int8']),
  flops: z.int(),
  macs: z.int(),
  share: z.number(),
  top1: fraction,
  // Written out: generated from the tuple, the description would not say that there are two.
  interval: z.tuple([fraction, fraction]).meta({
    description: '95 % interval of top1: lower and upper end',
    type: 'array',
    items: { type: 'number', minimum: 0, maximum: 1 },
    minItems: 2,
    maxItems: 2,
  }),
  accuracy: fraction.meta({
    description:
      'The accuracy by which instances are compared: top1, or top1 smoothed to be monotone in cost if it was measured on few pictures',
  }),
  top5: fraction,
  correct: z.int(),
  n: z.int(),
  served: z.boolean().meta({
    description: 'Whether the service may choose it; any other instance runs only for requests that name it',
  }),
  resident: z.boolean().meta({
    description: 'Whether it is loaded in every engine thread; any other is loaded when a request names it',
  }),
  frontier: z.boolean().meta({
    description:
      'Whether no other float32 instance has at most its FLOPs and at least its accuracy; an int8 instance that is faster on this host takes the place of its float32 instance',
  }),
  latencyMs: z
    .record(z.string(), ms)
    .meta({ description: 'Batch size -> predicted ms of a run on this host: the 95th percentile of recent runs' }),
});

export const model = z
  .strictObject({
    name: z.string(),
    version: z.string(),
    description: z.string(),
    architecture: z.string(),
    networks: z
      .record(z.string(), z.strictObject({ architecture: z.string(), license: z.string(), source: z.string() }))
      .optional()
      .meta({ description: "The family's other networks, by name; absent: it has only its own, that of `full`" }),
    default: z.boolean(),
    input: z.strictObject({ height: z.int(), width: z.int() }),
    device: z.enum(['cpu', 'cuda']),
    weights: z
      .strictObject({
        shared: z.boolean().meta({ description: 'Whether all instances share one copy of equal weights' }),
        bytes: z.int().optional().meta({ description: 'Bytes of that copy and of the graphs' }),
        folded: z.strictObject({ done: z.int(), of: z.int() }).optional().meta({
          description:
            'Batch norms folded into weights (done) of those that could be (of); folded weights are often not shared',
        }),
      })
      .meta({ description: 'How weights are held in memory, by the setting WEIGHTS' }),
    measuredOn: z.strictObject({ dataset: z.string(), part: z.string(), scope: z.string(), runtime: z.string() }),
    license: z.string(),
    source: z.string(),
    labels: z.array(z.string()),
    instances: z.array(instanceInfo).meta({ description: 'Cheapest first' }),
  })
  .meta({
    id: 'Model',
    example: {
      name: 'cifar10',
      version: '3f9a0c1b22d4',
      description: 'WRN-16-4 trained with stochastic downsampling on CIFAR-10',
      architecture: 'wrn-16-4',
      default: true,
      input: { height: 32, width: 32 },
      device: 'cpu',
      weights: { shared: true, bytes: 18329600, folded: { done: 60, of: 91 } },
      measuredOn: { dataset: 'CIFAR-10', part: 'test', scope: 'all 10000 pictures', runtime: 'onnxruntime, float32' },
      license: 'Apache-2.0',
      source: 'trained from scratch',
      labels: ['airplane', 'automobile'],
      instances: [
        {
          id: 'p02-r500',
          p: 2,
          r: 0.5,
          precision: 'float32',
          flops: 269325312,
          macs: 134662656,
          share: 0.343,
          top1: 0.9,
          interval: [0.894, 0.906],
          accuracy: 0.9,
          top5: 0.99,
          correct: 9000,
          n: 10000,
          served: true,
          resident: true,
          frontier: true,
          latencyMs: { '1': 1.2, '8': 7.5 },
        },
      ],
    },
  });

export const models = z.strictObject({ models: z.array(model) }).meta({ id: 'Models' });

const mean = fraction.nullable();

/** The first event of /live. */
export const liveHello = z
  .strictObject({
    everyMs: z.int().positive().meta({ description: 'Time from one sample to the next' }),
    loadButton: z
      .boolean()
      .meta({ description: 'Whether the page offers this client to send a burst, by the setting LOAD_BUTTON' }),
    engineThreads: z.int().nonnegative().meta({ description: 'How many batches can run at the same time' }),
  })
  .meta({ id: 'LiveHello', example: { everyMs: 1000, loadButton: true, engineThreads: 2 } });

/** The further events of /live: what happened since the previous sample. */
export const liveSample = z
  .strictObject({
    second: z.int().positive().meta({ description: 'Number of the sample, from 1' }),
    pictures: z.int().nonnegative().meta({ description: 'Pictures answered' }),
    answered: z.int().nonnegative().meta({ description: 'Requests answered' }),
    refused: z.int().nonnegative().meta({ description: 'Requests refused or failed' }),
    latencyMs: z
      .strictObject({ p50: ms, p95: ms })
      .nullable()
      .meta({ description: 'Median and 95th percentile of answered requests, from the last body byte; null: none' }),
    promisedMs: ms.nullable().meta({ description: 'The smallest latency in a budget; null: no budget had one' }),
    promises: z.strictObject({ kept: z.int().nonnegative(), of: z.int().nonnegative() }).meta({
      description: 'Requests with a latency (of), refusals under load included, and those answered in time (kept)',
    }),
    accuracy: mean.meta({ description: 'Delivered accuracy: mean accuracy of the instances that answered' }),
    cost: mean.meta({ description: "Delivered cost: mean share of the full network's FLOPs" }),
    queued: z.int().nonnegative().meta({ description: 'Pictures that are admitted and not running now' }),
    instances: z.array(z.strictObject({ model: z.string(), instance: z.string(), pictures: z.int().positive() })),
  })
  .meta({
    id: 'LiveSample',
    example: {
      second: 17,
      pictures: 84,
      answered: 84,
      refused: 0,
      latencyMs: { p50: 21.4, p95: 48.9 },
      promisedMs: 100,
      promises: { kept: 84, of: 84 },
      accuracy: 0.7412,
      cost: 0.618,
      queued: 3,
      instances: [
        { model: 'imagenet1k', instance: 'full', pictures: 20 },
        { model: 'imagenet1k', instance: 'lite0-p01-r786', pictures: 64 },
      ],
    },
  });

export const health = z
  .strictObject({ status: z.literal('alive') })
  .meta({ id: 'Health', example: { status: 'alive' } });
export const ready = z.strictObject({ status: z.literal('ready') }).meta({ id: 'Ready', example: { status: 'ready' } });

export const problem = z
  .looseObject({
    type: z.enum(ERROR_CODES.map((code) => `${PROBLEM_TYPE}${code}`) as [string, ...string[]]),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What was wrong' }),
    expected: z.string().meta({ description: 'What would have been right' }),
    action: z.string().meta({ description: 'What to do now' }),
    image: z.int().nonnegative().optional().meta({ description: 'Which picture of the request, counted from 0' }),
    nearest: z
      .record(z.string(), z.number())
      .optional()
      .meta({ description: 'Member of the budget -> nearest feasible value, the other members unchanged' }),
    models: z.array(z.string()).optional(),
    instances: z.array(z.string()).optional(),
  })
  .meta({
    id: 'Problem',
    description: 'RFC 9457 problem details',
    example: {
      type: `${PROBLEM_TYPE}infeasible-budget`,
      title: PROBLEMS['infeasible-budget'].title,
      status: 422,
      detail: 'no instance is within cost 0.1, even when this host is idle',
      expected: 'changing one member: cost=0.254',
      action: 'take one of these values, or add strict=?0 to get the nearest answer',
      nearest: { cost: 0.254 },
    },
  });
