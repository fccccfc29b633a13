/** One copy of what the instances of a family have in common: graphs that were optimised for this host, kept between starts. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import { messageOf } from '../errors.js';
import type { Family } from '../family/instance.js';
import type { Graph } from '../runtime/runtime.js';
import { type Built, type Folded, fileOf } from './build.js';
import { type Facts, GraphCache, type Index } from './cache.js';
import type { Order, Outcome } from './messages.js';
import type { Weights } from './mode.js';

export interface SharedFamily {
  /** Instance key -> its optimised graph. */
  readonly graphs: ReadonlyMap<string, NonNullable<Graph['optimised']>>;
  /** Of all its tensors and graphs on the disk, of which memory has one copy at most. */
  readonly bytes: number;
  readonly folded: Folded;
  /** Mappings into memory that it takes in each engine thread. */
  readonly mapped: number;
}

export interface Sharing {
  readonly cacheDir: string;
  readonly weights: Weights;
  readonly onnxruntime: string;
  /** Families that are built at once. */
  readonly threads: number;
  /** Told why a family cannot be shared, or why what was kept is made again. */
  readonly onTrouble: (event: { family: string; kept: boolean; reason: string }) => void;
  /** Told when a family is built, as that takes seconds. */
  readonly onBuilding?: (family: string) => void;
  /** Aborted, nothing is built any more, what is half built is deleted, and files are no longer marked as used. */
  readonly signal?: AbortSignal;
  /** The building thread; tests put another in its place. */
  readonly worker?: URL;
}

/** A day: a thread that is replaced loads the files again, and a process may run for longer than files are kept unused. */
const MARK_MS = 24 * 3600 * 1000;

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/** By name of family; one that is not in it is loaded as it was exported. Never rejects: sharing is no condition of serving. */
export async function shareWeights(
  families: readonly Family[],
  sharing: Sharing,
): Promise<ReadonlyMap<string, SharedFamily>> {
  const cache = new GraphCache(sharing.cacheDir);
  cache.dropAbandoned(); // before there is need for room
  const limit = pLimit(Math.max(1, sharing.threads));
  const shared = new Map<string, SharedFamily>();
  await Promise.all(
    families.map((family) =>
      limit(async () => {
        if (sharing.signal?.aborted) return;
        try {
          shared.set(family.name, await sharedFamily(family, cache, sharing));
        } catch (error) {
          if (!sharing.signal?.aborted)
            sharing.onTrouble({ family: family.name, kept: false, reason: messageOf(error) });
        }
      }),
    ),
  );
  cache.dropStale(); // after all have found what they use
  return shared;
}

async function sharedFamily(family: Family, cache: GraphCache, sharing: Sharing): Promise<SharedFamily> {
  const facts = factsOf(family, sharing);
  let index: Index | undefined;
  try {
    index = await cache.find(facts);
  } catch (error) {
    sharing.onTrouble({ family: family.name, kept: true, reason: messageOf(error) });
  }
  index ??= await built(family, facts, cache, sharing);
  keepUsed(cache, facts, sharing.signal);
  const folder = cache.pathOf(facts);
  const graphs = family.instances.map(({ key, id, precision }) => {
    const path = join(folder, fileOf(id));
    return [key, { path, pack: packs(precision) }] as const;
  });
  const bytes = Object.values(index.files).reduce((sum, file) => sum + file.bytes, 0);
  return { graphs: new Map(graphs), bytes, folded: index.folded, mapped: index.mapped };
}

/** Says every day that the files are in use, until the signal is aborted. */
function keepUsed(cache: GraphCache, facts: Facts, signal: AbortSignal | undefined): void {
  const timer = setInterval(() => cache.markUsed(facts), MARK_MS).unref();
  signal?.addEventListener('abort', () => clearInterval(timer), { once: true });
}

/** Of float32 nothing becomes faster by packing, once weights are in the processor's layout, int8 does. */
const packs = (precision: 'float32' | 'int8'): boolean => precision === 'int8';

async function built(family: Family, facts: Facts, cache: GraphCache, sharing: Sharing): Promise<Index> {
  sharing.onBuilding?.(family.name);
  const folder = cache.begin();
  try {
    const sources = family.instances.map(({ id, graph, precision }) => ({ id, path: graph, pack: packs(precision) }));
    const made = await inThread({ sources, weights: sharing.weights, folder }, sharing);
    return await cache.publish(folder, facts, made);
  } catch (error) {
    cache.discard(folder);
    throw error;
  }
}

/** It is asked to stop and not terminated: under a native call that aborts the whole process. */
function inThread(order: Omit<Order, 'stop'>, { worker: url = WORKER, signal }: Sharing): Promise<Built> {
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const ask = () => Atomics.store(stop, 0, 1);
  if (signal?.aborted) ask();
  signal?.addEventListener('abort', ask, { once: true });
  const worker = new Worker(url, { workerData: { ...order, stop } satisfies Order });
  return new Promise((resolve, reject) => {
    worker.once('message', (outcome: Outcome) => {
      if (outcome.type === 'built') resolve(outcome);
      else reject(new Error(outcome.message));
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread that builds graphs ended with ${code}`)));
  });
}

function factsOf({ name, version }: Family, { weights, onnxruntime }: Sharing): Facts {
  return { family: `${name}@${version}`, weights, onnxruntime, processor: processorOf() };
}

/** onnxruntime chooses layouts and kernels by what the processor can do, which Linux lists. */
export function processorOf(file = '/proc/cpuinfo'): string {
  const model = `${process.arch} ${cpus()[0]?.model ?? 'unknown'}`;
  try {
    const features = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    return `${model} ${features.split(/\s+/).sort().join(' ')}`;
  } catch {
    return model;
  }
}
