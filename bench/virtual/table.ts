/** A table of run times measured on one host, kept as a file, so that a simulation gives the same figures anywhere. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Instance } from '../../src/family/instance.js';
import { MAX_BATCH } from '../batch-sizes.js';

/** Wall time of a run of `size` pictures, in ms. */
export type Predict = (instance: Instance, size: number) => number;

/** The facts about an instance that policies and results need. */
const instanceSchema = z.object({
  id: z.string(),
  key: z.string(),
  flops: z.number().positive(),
  share: z.number().positive().max(1),
  accuracy: z.number().min(0).max(1),
});

export const tableSchema = z.object({
  family: z.string(),
  /** Model version of the family. */
  version: z.string(),
  /** Host and circumstances of the measurement, for information only. */
  host: z.record(z.string(), z.unknown()),
  /** Number of engine threads, all of them busy during the measurement. */
  threads: z.number().int().positive(),
  /** The instances that the service serves on that host, most accurate first. */
  instances: z.array(instanceSchema).min(1),
  /** Instance id -> batch size -> ms of each run. */
  samples: z.record(z.string(), z.record(z.string(), z.array(z.number().positive()).min(1))),
});
export type Table = z.infer<typeof tableSchema>;

/** Reads a table. Raises Error if the file is not one. */
export function readTable(path: string): Table {
  const parsed = tableSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!parsed.success) throw new Error(`${path} is no latency table:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/**
 * The instances of a table, most accurate first, as requests have them. Facts that a simulation does not use are NaN or
 * empty.
 */
export function instancesOf(table: Table): Instance[] {
  return table.instances
    .map((i) => ({
      ...i,
      family: table.family,
      p: i.share === 1 ? 0 : 1,
      r: 1,
      macs: i.flops / 2,
      top1: Number.NaN,
      interval: [Number.NaN, Number.NaN] as const,
      top5: Number.NaN,
      correct: Number.NaN,
      n: Number.NaN,
      temperature: Number.NaN,
      precision: i.id.endsWith('-i8') ? ('int8' as const) : ('float32' as const),
      graph: '',
    }))
    .sort((a, b) => b.accuracy - a.accuracy || a.flops - b.flops);
}

/** The instance with the fewest FLOPs; of int8/float32 twins, the faster one in full batches. usual: times of runs. */
const cheapestOf = (instances: readonly Instance[], usual: Predict): Instance =>
  instances.reduce((a, b) =>
    b.flops < a.flops || (b.flops === a.flops && usual(b, MAX_BATCH) < usual(a, MAX_BATCH)) ? b : a,
  );
const dearestOf = (instances: readonly Instance[]): Instance => instances.reduce((a, b) => (b.flops > a.flops ? b : a));

/** Median; the lower of the middle two for an even count. */
const median = (values: readonly number[]): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1];

/** Median time of a run, by instance and batch size. Raises Error if the table has no such run. */
export const medianOf =
  (table: Table): Predict =>
  ({ id }, size) => {
    const ms = median(table.samples[id]?.[size] ?? []);
    if (ms === undefined) throw new Error(`${id} at batch ${size} is not in the table`);
    return ms;
  };

/** A deadline leaves the time of SLACK_PICTURES at capacity beyond one run of `full`, but at least LEAST_SLACK_MS. */
const LEAST_SLACK_MS = 30;
const SLACK_PICTURES = 40;

/** Deadline of the load tests in ms. fullMs: time of one run of `full`; capacityPerMs: load 1, in pictures per ms. */
export const deadlineOf = (fullMs: number, capacityPerMs: number): number =>
  fullMs + Math.max(SLACK_PICTURES / capacityPerMs, LEAST_SLACK_MS);

/** Overhead: CPU ms for each picture, without its network. */
export interface Overhead {
  /** CPU time of the load generator, which runs on the same host. */
  readonly client: number;
  /** CPU time of the service's event loop: half of it before the picture is decoded, half for the answer. */
  readonly http: number;
  readonly decode: number;
}

/**
 * Assumed values, not measured ones. With them load 1 is about that of bench/load, for pictures of 32 and of 224
 * pixels.
 */
export const assumedOf = (family: string): Overhead => ({
  client: 0.2,
  http: 0.5,
  decode: family === 'cifar10' ? 0.8 : 4,
});

export const tablePath = (family: string): string => fileURLToPath(new URL(`tables/${family}.json`, import.meta.url));

/** What load 1 and the deadline are for a table. */
export interface Yardsticks {
  readonly cheapest: Instance;
  /** Load 1: pictures per ms on the cheapest instance in full batches, with all CPUs busy. */
  readonly capacityPerMs: number;
  /** Deadline of every request, from its arrival to the answer. */
  readonly deadlineMs: number;
}

/** Computes load 1 and the deadline from median run times. cpus: number of simulated CPUs. */
export function yardsticks(table: Table, cpus: number, { client, http, decode }: Overhead): Yardsticks {
  const [instances, usual] = [instancesOf(table), medianOf(table)];
  const cheapest = cheapestOf(instances, usual);
  const capacityPerMs = cpus / (client + http + decode + usual(cheapest, MAX_BATCH) / MAX_BATCH);
  return { cheapest, capacityPerMs, deadlineMs: deadlineOf(usual(dearestOf(instances), 1), capacityPerMs) };
}
