/**
 * Starts the engine threads with the graphs of all families, whose instances share one copy of weights where possible.
 */
import type { Logger } from 'pino';
import type { Config } from './config.js';
import type { Family, Instance } from './family/instance.js';
import { onnxruntimeVersion } from './host-latency.js';
import { anonymousMb } from './runtime/memory.js';
import { hasJemalloc, type ThreadEvent, ThreadPool } from './runtime/pool.js';
import type { Graph, Runtime } from './runtime/runtime.js';
import type { StartProgress } from './start-progress.js';
import { fitting, mostMappings, neededFor } from './weights/mappings.js';
import { type SharedFamily, type Sharing, shareWeights } from './weights/share.js';

export type ThreadEvents = (event: ThreadEvent, message: string) => void;

/** Starts a runtime; tests pass one that starts a fake. */
export type StartRuntime = (config: Config, graphs: readonly Graph[], onThread: ThreadEvents) => Promise<Runtime>;

export interface Networks {
  readonly runtime: Runtime;
  /** Name of family -> its shared graphs. In other families each instance has its own weights in each engine thread. */
  readonly shared: ReadonlyMap<string, SharedFamily>;
  /**
   * Mean MiB of an instance in all engine threads together, without shared weights; undefined where there is no /proc.
   */
  readonly instanceMb: number | undefined;
}

export interface NetworksOptions {
  readonly config: Config;
  readonly families: readonly Family[];
  readonly logger: Logger;
  readonly progress: StartProgress;
  readonly onThread: ThreadEvents;
  /** When aborted, no further graph is optimised or loaded. */
  readonly signal: AbortSignal;
}

/**
 * Optimises and loads all graphs. Raises StartError if an engine thread cannot start, or the signal's reason on abort.
 */
export async function startNetworks({
  config,
  families,
  logger,
  progress,
  onThread,
  signal,
}: NetworksOptions): Promise<Networks> {
  if (hasJemalloc() === false)
    logger.info('jemalloc is not the allocator: networks take more memory, and batches more time (docs/memory.md)');
  progress.enter('optimising');
  const shared = await sharedOf(config, families, logger, signal);
  signal.throwIfAborted();
  const graphs = families.flatMap((family) => graphsOf(family, shared.get(family.name)));
  progress.enter('loading', graphs.length);
  const before = anonymousMb();
  const runtime = await ThreadPool.start({
    threads: config.ENGINE_THREADS,
    onnxThreads: config.ONNX_THREADS,
    provider: config.EXECUTION_PROVIDER,
    graphs,
    onThread,
    onLoaded: (instances) => progress.loaded(instances),
  });
  const after = anonymousMb();
  const instanceMb = before === undefined || after === undefined ? undefined : (after - before) / graphs.length;
  return { runtime, shared, instanceMb };
}

/**
 * The shared graphs of all families that can share; none on a GPU, where each session copies weights to device memory.
 * others: shared families that are loaded already.
 */
export async function sharedOf(
  { EXECUTION_PROVIDER, CACHE_DIR, WEIGHTS, CPUS, ENGINE_THREADS }: Config,
  families: readonly Family[],
  logger: Logger,
  signal: AbortSignal,
  others: readonly SharedFamily[] = [],
): Promise<Networks['shared']> {
  if (EXECUTION_PROVIDER !== 'cpu') return new Map();
  const sharing: Sharing = {
    cacheDir: CACHE_DIR,
    weights: WEIGHTS,
    onnxruntime: onnxruntimeVersion(),
    threads: CPUS,
    signal,
    onBuilding: (model) => logger.info({ model }, 'optimising the graphs of this family for this host'),
    onTrouble: ({ family: model, kept, reason }) =>
      kept
        ? logger.warn(
            { model, reason },
            'the optimised graphs kept by an earlier start are not used; they are built again',
          )
        : logger.warn(
            { model, cacheDir: CACHE_DIR, reason },
            'weights of this family cannot be shared, so each instance has its own and takes much more memory. Set CACHE_DIR to a folder that only this user can write, with room for three times the family',
          ),
  };
  const shared = await shareWeights(families, sharing);
  const allowed = mostMappings();
  const mapped = fitting(shared, ENGINE_THREADS, allowed - neededFor(others, ENGINE_THREADS));
  const needed = neededFor([...others, ...shared.values()], ENGINE_THREADS);
  for (const [model, { bytes, folded, release }] of shared) {
    if (mapped.has(model)) logger.info({ model, bytes, folded }, 'weights are shared');
    else {
      release();
      logger.warn(
        { model, allowed, needed },
        'weights of this family cannot be shared, so each instance has its own and takes much more memory: the kernel allows too few memory mappings. Raise vm.max_map_count (sysctl) to the number needed, or lower ENGINE_THREADS',
      );
    }
  }
  return mapped;
}

/** The graphs of a family's instances. shared: missing if the instances do not share weights. */
export function graphsOf(family: Family, shared?: SharedFamily): Graph[] {
  return family.instances.map(({ key, graph }: Instance) => ({
    key,
    path: graph,
    optimised: shared?.graphs.get(key),
    shape: [family.height, family.width, 3],
    classes: family.labels.length,
  }));
}
