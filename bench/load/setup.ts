/** Preparation of a load test for one family: its pictures, the capacity of this host, and the deadline. */
import { join } from 'node:path';
import type { z } from 'zod';
import { model as modelShape } from '../../src/http/schemas.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import type { Profile } from '../../src/load/summary.js';
import { readReference } from '../accuracy/read.js';
import { fail } from '../support.js';
import { deadlineOf } from '../virtual/table.js';
import { generate } from './generate.js';
import type { Job, Picture } from './job.js';
import { halves } from './profile.js';

export type Model = z.infer<typeof modelShape>;

/** A family and the pictures to send to it. */
export interface Material {
  readonly model: Model;
  readonly profile: Profile;
  /** With full paths, shuffled by the seed. */
  readonly pictures: readonly Picture[];
}

/** Time after which a client gives up: far above every deadline of a load test. */
export const TIMEOUT_MS = 20_000;
/** Requests in flight in a closed loop: enough to keep every engine thread busy with full batches. */
export const CONNECTIONS = 24;

/** Closed loop before each run: long enough to compile the code (JIT), with enough connections for full batches. */
export const WARM_UP = { connections: 16, ms: 5000 };

/** The description of a family by GET /models/<family>. Ends the process if the service has no such family. */
export async function readModel(url: string, family: string): Promise<Model> {
  const answered = await fetch(`${url}/models/${family}`);
  if (!answered.ok) fail(await answered.text());
  return modelShape.parse(await answered.json());
}

/**
 * The accuracy of each instance, and the pictures to send in an order that `seed` decides. data: an image folder.
 * reference: a JSON file with what training's own network answers for each picture of that folder. Ends the process if
 * the reference was made for another version of the model.
 */
export function gather(model: Model, data: string, reference: string, seed: number): Material {
  const { profile, replay } = halves(readReference(reference, model.version));
  const pictures = shuffled(replay, seeded(seedFor(seed, 'pictures')));
  return { model, profile, pictures: pictures.map((p) => ({ ...p, file: join(data, p.file) })) };
}

/** The values in random order (Fisher-Yates). */
export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const left = [...values];
  return values.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T);
}

export const served = (model: Model) => model.instances.filter((i) => i.served);

type Requests = Pick<Job, 'path' | 'headers' | 'closedHeaders' | 'pictures' | 'timeoutMs'>;

const budget = (text: string): Record<string, string> => ({ 'Inference-Budget': text });

/**
 * Paths and headers of requests. instance: pinned by every request. latencyMs, strict: of the budget. The closed loop
 * always sends `strict=?0`, because a refused request would not warm up anything.
 */
export function requests(
  { model, pictures }: Pick<Material, 'pictures'> & { readonly model: Pick<Model, 'name'> },
  { instance, latencyMs, strict = true }: { instance?: string | undefined; latencyMs?: number; strict?: boolean },
): Requests {
  const query = new URLSearchParams({ model: model.name, top: '1', ...(instance !== undefined && { instance }) });
  const wished = latencyMs === undefined ? {} : budget(`latency=${latencyMs}, strict=?0`);
  return {
    path: `/classify?${query}`,
    headers: latencyMs !== undefined && strict ? budget(`latency=${latencyMs}`) : wished,
    closedHeaders: wished,
    pictures,
    timeoutMs: TIMEOUT_MS,
  };
}

/** What load 1 and the deadline are on this host. */
export interface Yardsticks {
  /** Id of the cheapest served instance. */
  readonly cheapest: string;
  /** Throughput of the cheapest instance in a closed loop, in pictures a second. */
  readonly closedPerS: number;
  /** Throughput when an open loop offers `closedPerS`, in pictures a second: load 1. */
  readonly capacityPerS: number;
  readonly deadlineMs: number;
  /** Number of runs of one picture on the cheapest instance that fit into the deadline, one after another. */
  readonly cheapestRuns: number;
}

/**
 * The instance with the fewest FLOPs; of two int8/float32 twins, the faster one in its largest batch. Raises Error for
 * no instance.
 */
function cheapestOf(instances: Model['instances']): Model['instances'][number] {
  const ms = ({ latencyMs }: Model['instances'][number]) =>
    latencyMs[Math.max(...Object.keys(latencyMs).map(Number))] ?? Number.POSITIVE_INFINITY;
  const [cheapest] = instances.toSorted((a, b) => a.flops - b.flops || ms(a) - ms(b));
  if (!cheapest) throw new Error('no instance is served');
  return cheapest;
}

/**
 * The deadline of the load tests in ms: one run of `full`, plus the time of 40 pictures at capacity, but at least 30
 * ms.
 */
export function deadlineFor(fullMs: number, capacityPerS: number): number {
  return Number(deadlineOf(fullMs, capacityPerS / 1000).toFixed(1));
}

/**
 * Measures how many requests a second are answered. A closed loop gives a first estimate of the throughput;
 * then an open loop offers that rate, and the capacity is the rate of answers while it lasts. A closed loop alone gives
 * too much: its requests arrive in step with the answers, so batches are full, and its client takes less CPU than one
 * that sends at fixed times. seconds: length of the open loop.
 */
export async function capacityOf(
  offer: Requests & Pick<Job, 'url' | 'peer'>,
  seconds: number,
): Promise<Pick<Yardsticks, 'closedPerS' | 'capacityPerS'>> {
  const closed = { connections: CONNECTIONS, ms: seconds * 500 };
  const { closedPerS } = await generate({ ...offer, closed, arrivalsMs: [] });
  const [count, durationMs] = [Math.round(closedPerS * seconds), seconds * 1000];
  const arrivalsMs = Array.from({ length: count }, (_, n) => (n * durationMs) / count);
  const { records } = await generate({ ...offer, closed: { connections: CONNECTIONS, ms: 1000 }, arrivalsMs });
  const within = records.filter((r) => r.status === 200 && r.scheduledMs + r.lagMs + r.latencyMs <= durationMs);
  return { closedPerS, capacityPerS: within.length / seconds };
}

/** Measures the capacity with the cheapest instance, and computes the deadline from it. seconds: of the open loop. */
export async function measureYardsticks(url: string, material: Material, seconds: number): Promise<Yardsticks> {
  const cheapest = cheapestOf(served(material.model));
  const { closedPerS, capacityPerS } = await capacityOf(
    { url, ...requests(material, { instance: cheapest.id }) },
    seconds,
  );
  // From the measurement at start: the live factor that was learnt under this load is not that of an idle host.
  const full = material.model.instances.find((i) => i.share === 1);
  if (!full) throw new Error('the family has no full instance');
  const [fullMs, cheapestMs] = [full, cheapest].map((i) => i.latencyMs['1']) as [number, number];
  const deadlineMs = deadlineFor(fullMs, capacityPerS);
  return {
    cheapest: cheapest.id,
    closedPerS,
    capacityPerS,
    deadlineMs,
    cheapestRuns: Math.floor(deadlineMs / cheapestMs),
  };
}
