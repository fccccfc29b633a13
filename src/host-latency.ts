/** How long runs take on this host: as kept from an earlier start, or else measured now and kept. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { messageOf } from './errors.js';
import type { Family } from './family/instance.js';
import { hasJemalloc } from './runtime/pool.js';
import type { Runtime } from './runtime/runtime.js';
import { LatencyCache, type Layout } from './scheduler/cache.js';
import type { Clock } from './scheduler/clock.js';
import type { LatencyTable } from './scheduler/latency.js';
import { measureLatency, warmUp } from './scheduler/measure.js';

/** Whatever is wrong with CACHE_DIR, the service starts: it says so and measures. */
export async function hostLatency(
  config: Config,
  clock: Clock,
  logger: Logger,
  runtime: Runtime,
  families: readonly Family[],
): Promise<LatencyTable> {
  const cacheDir = config.CACHE_DIR;
  const cache = new LatencyCache(cacheDir, layoutOf(config, runtime, families));
  const known = cache.read(families, clock, (reason) =>
    logger.warn({ cacheDir, reason }, 'the latency that was kept is not believed, and is measured again'),
  );
  if (known) {
    await warmUp(runtime, families);
    return known;
  }
  logger.info('measuring the latency of every instance on this host');
  const startMs = clock.now();
  let cut = false;
  const table = await measureLatency(runtime, families, clock, () => {
    cut = true;
  });
  logger.info({ ms: Math.round(clock.now() - startMs) }, 'latency measured');
  if (cut) {
    // First runs are up to three times as slow as the next. Runs that serve correct that, but nothing would correct the cache.
    logger.warn(
      'there was time for the first run of some batch sizes only; it is not kept, and the next start measures again',
    );
    return table;
  }
  try {
    cache.write(table);
  } catch (error) {
    logger.warn(
      { cacheDir, error: messageOf(error) },
      'measured latency cannot be kept; the next start measures again. Set CACHE_DIR to a folder that this user alone can write',
    );
  }
  return table;
}

function layoutOf(config: Config, runtime: Runtime, families: readonly Family[]): Layout {
  return {
    device: runtime.device,
    engineThreads: runtime.threads,
    onnxThreads: config.ONNX_THREADS,
    onnxruntime: onnxruntimeVersion(),
    allocator: hasJemalloc() ? 'jemalloc' : 'other',
    families: families.map((f) => `${f.name}@${f.version}`),
  };
}

function onnxruntimeVersion(): string {
  // Read from the package and not imported: the library itself is loaded in engine threads only.
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(entry, 'utf8')) as { version: string }).version;
}
