/** Latency measured on a host, kept as a file, so that a simulation can be run again anywhere with the same figures. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Instance } from '../../src/family/instance.js';
import { MAX_BATCH } from '../../src/plan/snapshot.js';

/** ms of a run of so many pictures. */
export type Predict = (instance: Instance, size: number) => number;

/** What policies and results need to know of an instance. */
const instanceSchema = z.object({
  id: z.string(),
  key: z.string(),
  flops: z.number().positive(),
  share: z.number().positive().max(1),
  accuracy: z.number().min(0).max(1),
});

export const tableSchema = z.object({
  family: z.string(),
  /** Version of the family measured. */
  version: z.string(),
  /** Where and how it was measured: for people. */
  host: z.record(z.string(), z.unknown()),
  /** Engine threads, all of them busy while it was measured. */
  threads: z.number().int().positive(),
  /** Those on the frontier of that host, most accurate first. */
  instances: z.array(instanceSchema).min(1),
  /** Instance id -> batch size -> ms of each run. */
  samples: z.record(z.string(), z.record(z.string(), z.array(z.number().positive()).min(1))),
});
export type Table = z.infer<typeof tableSchema>;

/** Raises Error if the file is not a table. */
export function readTable(path: string): Table {
  const parsed = tableSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!parsed.success) throw new Error(`${path} is no latency table:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Most accurate first, as requests have them. What a simulation does not look at has a value that says so. */
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

/** Of the fewest FLOPs; of twins the faster one in full batches. */
const cheapestOf = (instances: readonly Instance[], usual: Predict): Instance =>
  instances.reduce((a, b) =>
    b.flops < a.flops || (b.flops === a.flops && usual(b, MAX_BATCH) < usual(a, MAX_BATCH)) ? b : a,
  );
const dearestOf = (instances: readonly Instance[]): Instance => instances.reduce((a, b) => (b.flops > a.flops ? b : a));

/** The lower of two in the middle. */
const median = (values: readonly number[]): number | undefined =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1];

/** What a run usually takes. */
export const medianOf =
  (table: Table): Predict =>
  ({ id }, size) => {
    const ms = median(table.samples[id]?.[size] ?? []);
    if (ms === undefined) throw new Error(`${id} at batch ${size} is not in the table`);
    return ms;
  };

/** The floor of the time that a deadline leaves beyond one run of `full`, and the pictures it is worth. */
const LEAST_SLACK_MS = 30;
const SLACK_PICTURES = 40;

export const deadlineOf = (fullMs: number, capacityPerMs: number): number =>
  fullMs + Math.max(SLACK_PICTURES / capacityPerMs, LEAST_SLACK_MS);

/** ms of CPU for each picture, besides its network. */
export interface Besides {
  /** The load generator, on the same host. */
  readonly client: number;
  /** The service's event loop: half before the picture is decoded, half for the answer. */
  readonly http: number;
  readonly decode: number;
}

/** Assumed, not measured: with them load 1 is about what bench/load finds, for pictures of 32 and of 224 pixels. */
export const assumedOf = (family: string): Besides => ({
  client: 0.2,
  http: 0.5,
  decode: family === 'cifar10' ? 0.8 : 4,
});

export const tablePath = (family: string): string => fileURLToPath(new URL(`tables/${family}.json`, import.meta.url));

export interface Yardsticks {
  readonly cheapest: Instance;
  /** Pictures per ms while the CPUs are never idle, on the cheapest instance in full batches: load 1. */
  readonly capacityPerMs: number;
  /** From arrival to the answer. */
  readonly deadlineMs: number;
}

/** By the usual run, by which a host is judged. */
export function yardsticks(table: Table, cpus: number, { client, http, decode }: Besides): Yardsticks {
  const [instances, usual] = [instancesOf(table), medianOf(table)];
  const cheapest = cheapestOf(instances, usual);
  const capacityPerMs = cpus / (client + http + decode + usual(cheapest, MAX_BATCH) / MAX_BATCH);
  return { cheapest, capacityPerMs, deadlineMs: deadlineOf(usual(dearestOf(instances), 1), capacityPerMs) };
}
