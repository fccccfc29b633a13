/** What every load on a family starts from: its pictures, and how much of them this host can do. */
import { join } from 'node:path';
import type { z } from 'zod';
import { model as modelShape } from '../../src/http/schemas.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import type { Profile } from '../../src/load/summary.js';
import { MAX_BATCH } from '../../src/plan/snapshot.js';
import { readReference } from '../accuracy/read.js';
import { fail } from '../support.js';
import { deadlineOf } from '../virtual/table.js';
import { generate } from './generate.js';
import type { Job, Picture } from './job.js';
import { halves } from './profile.js';

export type Model = z.infer<typeof modelShape>;

export interface Material {
  readonly model: Model;
  readonly profile: Profile;
  /** With whole paths, in an order that the seed fixes. */
  readonly pictures: readonly Picture[];
}

/** A client gives up then; no deadline here is near it. */
export const TIMEOUT_MS = 20_000;
/** Enough to keep every thread busy with full batches. */
export const CONNECTIONS = 24;

/** Long enough for code to be compiled, and connections enough for full batches: what is measured is not the start. */
export const WARM_UP = { connections: 16, ms: 5000 };

export async function readModel(url: string, family: string): Promise<Model> {
  const answered = await fetch(`${url}/models/${family}`);
  if (!answered.ok) fail(await answered.text());
  return modelShape.parse(await answered.json());
}

/** data: an image folder; reference: see bench/accuracy/compare.ts. Ends the process if they do not fit the model. */
export function gather(model: Model, data: string, reference: string, seed: number): Material {
  const { profile, replay } = halves(readReference(reference, model.version));
  const pictures = shuffled(replay, seeded(seedFor(seed, 'pictures')));
  return { model, profile, pictures: pictures.map((p) => ({ ...p, file: join(data, p.file) })) };
}

/** Fisher and Yates. */
export function shuffled<T>(values: readonly T[], random: Random): T[] {
  const left = [...values];
  return values.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T);
}

export const served = (model: Model) => model.instances.filter((i) => i.served);

type Requests = Pick<Job, 'path' | 'headers' | 'closedHeaders' | 'pictures' | 'timeoutMs'>;

const budget = (text: string): Record<string, string> => ({ 'Inference-Budget': text });

/**
 * Requests with these pictures; instance: pinned, latencyMs: promised or refused, or only wished for if not strict. In the
 * closed loop it is always wished for, since nothing that is refused warms anything.
 */
export function requests(
  { model, pictures }: Material,
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

export interface Yardsticks {
  readonly cheapest: string;
  /** Pictures a second that are answered by the cheapest instance in a closed loop. */
  readonly closedPerS: number;
  /** The same when an open loop offers as many: load 1. */
  readonly capacityPerS: number;
  readonly deadlineMs: number;
  /** How many runs of the cheapest instance alone fit into the deadline, one after another. */
  readonly cheapestRuns: number;
}

/** Of the fewest FLOPs; of twins, which have the same, the faster one in full batches. Throws Error if there is none. */
function cheapestOf(instances: Model['instances']): Model['instances'][number] {
  const ms = (i: Model['instances'][number]) => i.latencyMs[MAX_BATCH] ?? Number.POSITIVE_INFINITY;
  const [cheapest] = instances.toSorted((a, b) => a.flops - b.flops || ms(a) - ms(b));
  if (!cheapest) throw new Error('no instance is served');
  return cheapest;
}

/** The deadline of the issue: one run of `full`, and time for 40 pictures or 30 ms. */
export function deadlineFor(fullMs: number, capacityPerS: number): number {
  return Number(deadlineOf(fullMs, capacityPerS / 1000).toFixed(1));
}

/**
 * Capacity is measured as it is used: a closed loop first, which says about how much to offer, then an open loop that
 * offers as much, and what of it is answered while it lasts. A closed loop alone flatters: its requests come in step with
 * the answers, so batches are full, and its client costs the shared CPUs less than one that keeps to a timetable.
 */
export async function measureYardsticks(url: string, material: Material, seconds: number): Promise<Yardsticks> {
  const cheapest = cheapestOf(served(material.model));
  const offer = { url, ...requests(material, { instance: cheapest.id }) };
  const closed = { connections: CONNECTIONS, ms: seconds * 500 };
  const { closedPerS } = await generate({ ...offer, closed, arrivalsMs: [] });
  const [count, durationMs] = [Math.round(closedPerS * seconds), seconds * 1000];
  const arrivalsMs = Array.from({ length: count }, (_, n) => (n * durationMs) / count);
  const { records } = await generate({ ...offer, closed: { connections: CONNECTIONS, ms: 1000 }, arrivalsMs });
  const within = records.filter((r) => r.status === 200 && r.scheduledMs + r.lagMs + r.latencyMs <= durationMs);
  const capacityPerS = within.length / seconds;
  // As measured at start: what was learnt under this load is slower, and not what an idle host promises.
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
