/**
 * Makes the instances of a family share one copy of their weights in memory. Their graphs are optimised for this host
 * once, with all tensors in one file, and kept in CACHE_DIR between starts.
 */
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
  /** Size of all its tensors and graphs on disk: memory holds at most one copy. */
  readonly bytes: number;
  readonly folded: Folded;
  /** Memory mappings that each engine thread needs for all its instances. */
  readonly mapped: number;
  /** Ends marking the family's folder as used. Call it when the family is no longer served. */
  release(): void;
}

export interface Sharing {
  readonly cacheDir: string;
  readonly weights: Weights;
  readonly onnxruntime: string;
  /** How many families are built at the same time. */
  readonly threads: number;
  /**
   * Called with the reason why a family cannot be shared (kept: false) or its kept graphs are built again (kept: true).
   */
  readonly onTrouble: (event: { family: string; kept: boolean; reason: string }) => void;
  /** Called before a family is built, which takes seconds. */
  readonly onBuilding?: (family: string) => void;
  /** When aborted, no further family is built, half-built folders are deleted, and no folder is marked as used. */
  readonly signal?: AbortSignal;
  /** Script of the building thread; tests pass their own. */
  readonly worker?: URL;
}

/** A day. A new engine thread loads the files again, and a process may run for longer than unused files are kept. */
const MARK_MS = 24 * 3600 * 1000;

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

/**
 * Finds or builds the shared graphs of all families. Returns name of family -> its shared graphs; a family that cannot
 * be shared is missing and is loaded as it was exported. Never rejects, because a service can run without sharing.
 */
export async function shareWeights(
  families: readonly Family[],
  sharing: Sharing,
): Promise<ReadonlyMap<string, SharedFamily>> {
  const cache = new GraphCache(sharing.cacheDir);
  cache.dropAbandoned(); // first, as building needs room on the disk
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
  cache.dropStale(); // last, as finding a folder marks it as used
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
  const release = keepUsed(cache, facts, sharing.signal);
  const folder = cache.pathOf(facts);
  const graphs = family.instances.map(({ key, id, precision }) => {
    const path = join(folder, fileOf(id));
    return [key, { path, pack: packs(precision) }] as const;
  });
  const bytes = Object.values(index.files).reduce((sum, file) => sum + file.bytes, 0);
  return { graphs: new Map(graphs), bytes, folded: index.folded, mapped: index.mapped, release };
}

/** Marks the family's folder as used every day, until the signal is aborted or the returned function is called. */
function keepUsed(cache: GraphCache, facts: Facts, signal: AbortSignal | undefined): () => void {
  const timer = setInterval(() => cache.markUsed(facts), MARK_MS).unref();
  const end = () => {
    clearInterval(timer);
    signal?.removeEventListener('abort', end);
  };
  signal?.addEventListener('abort', end, { once: true });
  return end;
}

/** Whether packing weights for kernels makes runs faster: it does for int8; float32 gains nothing beyond its layout. */
const packs = (precision: 'float32' | 'int8'): boolean => precision === 'int8';

/** Builds the graphs of a family in a thread and puts them in the cache. */
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

/**
 * Builds in a worker thread. On abort the thread is asked to stop and not terminated: terminate() during a native call
 * aborts the whole process.
 */
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
    worker.once('exit', (code) => {
      signal?.removeEventListener('abort', ask);
      reject(new Error(`the thread that builds graphs ended with ${code}`));
    });
  });
}

function factsOf({ name, version }: Family, { weights, onnxruntime }: Sharing): Facts {
  return { family: `${name}@${version}`, weights, onnxruntime, processor: processorOf() };
}

/** Model and instruction set features of the processor: onnxruntime chooses layouts and kernels by them. */
export function processorOf(file = '/proc/cpuinfo'): string {
  const model = `${process.arch} ${cpus()[0]?.model ?? 'unknown'}`;
  try {
    const features = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    return `${model} ${features.split(/\s+/).sort().join(' ')}`;
  } catch {
    return model;
  }
}
