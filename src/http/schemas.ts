/** Shapes of requests and answers. openapi.yaml is made from here. */
import { extendZodWithOpenApi } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { wholeNumber } from '../config.js';
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
    description: 'Pins one instance of the family, also one that is not served; the budget must allow it',
    example: 'p02-r500',
  }),
});

export const budgetHeader = z.string().meta({
  description: [
    'What the answer may cost: a structured-field dictionary (RFC 9651; decimals have at most three digits after the point).',
    '`flops`: at most these FLOPs for a picture. `cost`: at most this share of the full FLOPs, in (0, 1].',
    '`latency`: the whole answer within so many ms. `accuracy`: an instance of at least this accuracy (see /models), in (0, 1].',
    '`strict=?0`: never refuse for the budget, come as near as possible; under a load that lasts it may be refused (503, Retry-After) after MAX_WAIT_MS. Members can be given together.',
  ].join('\n'),
});

export const prediction = z.strictObject({
  label: z.string(),
  index: z.int().nonnegative(),
  probability: fraction,
});

export const result = z.strictObject({
  predictions: z.array(prediction),
  model_instance: z.strictObject({ id: z.string(), p: z.int(), r: z.number() }),
  reason: z.string().meta({ description: 'What decided the choice of the instance' }),
  cost: z.strictObject({ flops: z.int(), share: z.number() }),
  batchSize: z.int().positive(),
  timing: z.strictObject({
    decodeMs: ms,
    queueMs: ms,
    inferenceMs: ms,
    totalMs: ms.meta({ description: 'From the last body byte read to the answer' }),
    predictedMs: ms.meta({ description: 'The total predicted at dispatch' }),
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
      met: z.boolean().meta({ description: 'Whether every member held, as measured' }),
    }),
    results: z.array(result).meta({ description: 'One for each picture, in their order' }),
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
  p: z.int(),
  r: z.number(),
  precision: z.enum(['float32', 'int8']),
  flops: z.int(),
  macs: z.int(),
  share: z.number(),
  top1: fraction,
  interval: z.tuple([fraction, fraction]).meta({ description: '95 % interval of top1' }),
  accuracy: fraction.meta({
    description:
      'What instances are compared by: top1, smoothed to be monotone in cost if it was measured on few pictures',
  }),
  top5: fraction,
  correct: z.int(),
  n: z.int(),
  served: z.boolean().meta({ description: 'Chosen from; any other can be pinned' }),
  resident: z.boolean().meta({
    description: 'Loaded in every engine thread; another one is loaded when a request pins it',
  }),
  frontier: z.boolean().meta({
    description: 'Worth choosing from: no other has no more FLOPs and no less accuracy, or int8 that is faster here',
  }),
  latencyMs: z
    .record(z.string(), ms)
    .meta({ description: 'Predicted run on this host by batch size, a high quantile of recent runs' }),
});

export const model = z
  .strictObject({
    name: z.string(),
    version: z.string(),
    description: z.string(),
    architecture: z.string(),
    default: z.boolean(),
    input: z.strictObject({ height: z.int(), width: z.int() }),
    device: z.enum(['cpu', 'cuda']),
    weights: z
      .strictObject({
        shared: z.boolean().meta({ description: 'Whether there is one copy of what instances have in common' }),
        bytes: z.int().optional().meta({ description: 'Of that copy, and of the graphs' }),
        folded: z
          .strictObject({ done: z.int(), of: z.int() })
          .optional()
          .meta({ description: 'Batch norms that are folded into weights, which an instance may then have alone' }),
      })
      .meta({ description: 'Where weights lie: setting WEIGHTS' }),
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
      .meta({ description: 'Whether the page offers a burst to this client: setting LOAD_BUTTON' }),
    engineThreads: z.int().nonnegative().meta({ description: 'Networks that run at once' }),
  })
  .meta({ id: 'LiveHello', example: { everyMs: 1000, loadButton: true, engineThreads: 2 } });

/** The others: what happened since the one before. */
export const liveSample = z
  .strictObject({
    second: z.int().positive().meta({ description: 'Counts the samples' }),
    pictures: z.int().nonnegative().meta({ description: 'Pictures answered' }),
    answered: z.int().nonnegative().meta({ description: 'Requests answered' }),
    refused: z.int().nonnegative().meta({ description: 'Requests refused or failed' }),
    latencyMs: z
      .strictObject({ p50: ms, p95: ms })
      .nullable()
      .meta({ description: 'Of answered requests, from the last body byte read; null: there were none' }),
    promisedMs: ms.nullable().meta({ description: 'The smallest latency that a budget named; null: none did' }),
    promises: z
      .strictObject({ kept: z.int().nonnegative(), of: z.int().nonnegative() })
      .meta({ description: 'Requests with a latency, those that were refused under load included' }),
    accuracy: mean.meta({ description: 'Delivered: the mean accuracy of the instances that ran' }),
    cost: mean.meta({ description: "Delivered: the mean share of the full network's FLOPs" }),
    queued: z.int().nonnegative().meta({ description: 'Pictures admitted and not running, now' }),
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
        { model: 'imagenet1k', instance: 'p01-r585', pictures: 64 },
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
    nearest: z.record(z.string(), z.number()).optional().meta({ description: 'Budget values that can be met' }),
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
