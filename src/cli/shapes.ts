/** What --json writes, one shape for each command; docs/cli.md says it in words. */
import { z } from 'zod';
import { classification } from '../http/schemas.js';

const ms = z.number().nonnegative();
/** null where there was nothing to measure. */
const maybe = z.number().nullable();
const fraction = z.number().min(0).max(1);

/** A refusal in the words of the service, or of this program where no service answered. */
export const problemDocument = z.looseObject({
  title: z.string(),
  type: z.string().optional(),
  status: z.int().optional(),
  detail: z.string().optional(),
  expected: z.string().optional(),
  action: z.string().optional(),
  retryAfterS: z.number().optional(),
});

/** Of any command that failed as a whole. */
export const failureDocument = z.strictObject({ problem: problemDocument });

export const modelsDocument = z.strictObject({
  source: z.union([z.strictObject({ url: z.string() }), z.strictObject({ folder: z.string() })]),
  models: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      description: z.string(),
      architecture: z.string(),
      /** null where no service says which it is. */
      default: z.boolean().nullable(),
      classes: z.int().positive(),
      input: z.strictObject({ height: z.int(), width: z.int() }),
      measuredOn: z.strictObject({ dataset: z.string(), part: z.string(), scope: z.string(), runtime: z.string() }),
      /** Cheapest first. */
      instances: z.array(
        z.strictObject({
          id: z.string(),
          /** Absent: the family's own network. */
          network: z.string().optional(),
          p: z.int(),
          r: z.number(),
          precision: z.string(),
          flops: z.int(),
          share: z.number(),
          accuracy: fraction,
          frontier: z.boolean(),
          /** A run on the service's host by batch size; null where no service was asked. */
          latencyMs: z.strictObject({ '1': ms, '8': ms }).nullable(),
        }),
      ),
    }),
  ),
});

export const classifyDocument = z.strictObject({
  /** One for each file, in their order. */
  files: z.array(
    z.union([
      z.strictObject({ file: z.string(), answer: classification }),
      z.strictObject({ file: z.string(), problem: problemDocument }),
    ]),
  ),
});

const quantilesMs = z.strictObject({ p50: maybe, p90: maybe, p99: maybe, p999: maybe });
const byReason = z.record(z.string(), z.int().positive());

export const benchDocument = z.strictObject({
  url: z.string(),
  model: z.string(),
  modelVersion: z.string(),
  budget: z.string().nullable(),
  instance: z.string().nullable(),
  ratePerS: z.number(),
  seconds: z.number(),
  seed: z.int(),
  /** How many different ones were sent, in turn. */
  pictures: z.int().positive(),
  requests: z.int().positive(),
  /** Of all requests; by this client's clock from the scheduled time, and by the service's own. */
  inTime: z.strictObject({ client: fraction, service: fraction }),
  /** Answers in time a second, by this client's clock. */
  goodputPerS: z.number().nonnegative(),
  /** Of the answers: the share of right ones (null without labels), and what the instances that ran are known for. */
  accuracy: z.strictObject({ measured: maybe, ofInstances: maybe }),
  /** Of the answers: mean share of the full network's FLOPs. */
  meanCost: maybe,
  /** Of the answers: from the scheduled time to the last byte, and by the service from the last body byte. */
  latencyMs: z.strictObject({ client: quantilesMs, service: quantilesMs }),
  instances: byReason,
  refused: byReason,
  failed: byReason,
  lagMs: quantilesMs,
  mostInFlight: z.int(),
  /** Why these figures are not to be believed; empty if they are. */
  doubts: z.array(z.string()),
  /** Goals that were named and not reached. */
  missed: z.array(z.string()),
});

export type ModelsDocument = z.infer<typeof modelsDocument>;
export type ClassifyDocument = z.infer<typeof classifyDocument>;
export type BenchDocument = z.infer<typeof benchDocument>;
