/** How long things take on this host: as kept from an earlier start, or else measured now and kept. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { messageOf } from './errors.js';
import type { Family } from './family/instance.js';
import type { Decoder } from './image/decoder.js';
import { baselinesOf, byFlops } from './latency/baselines.js';
import { LatencyCache, type Layout, type Measured } from './latency/cache.js';
import { type Decoding, decodedEnough, isWhole, measureDecodes, measureRuns, wasBusy, wasDelayed } from './latency/measure.js';
import { fasterTwins, int8Ratio } from './latency/twins.js';
import { hasJemalloc } from './runtime/pool.js';
import type { Runtime } from './runtime/runtime.js';
import type { Clock } from './scheduler/clock.js';

export interface MeasuredHost {
  readonly config: Pick<Config, 'CACHE_DIR' | 'ONNX_THREADS' | 'WEIGHTS'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runtime: Runtime;
  readonly decoder: Pick<Decoder, 'sample' | 'decode'>;
  readonly families: readonly Family[];
  /** By name of family, those whose weights are shared. */
  readonly shared: ReadonlyMap<string, unknown>;
}

/** Whatever is wrong with CACHE_DIR, the service starts: it says so and measures. */
export async function hostLatency(host: MeasuredHost): Promise<Measured> {
  const { config, logger, families } = host;
  const cacheDir = config.CACHE_DIR;
  const cache = new LatencyCache(cacheDir, layoutOf(host));
  const known = cache.read(families, (reason) =>
    logger.warn({ cacheDir, reason }, 'the latency that was kept is not believed, and is measured again'),
  );
  if (known?.settled) return known;
  const now = await measure(host);
  // What is chosen from does not change from start to start, however busy the host is.
  const measured = { ...now, fasterTwins: known?.fasterTwins ?? now.fasterTwins };
  try {
    cache.write(measured);
  } catch (error) {
    logger.warn(
      { cacheDir, error: messageOf(error) },
      'measured latency cannot be kept; the next start measures again. Set CACHE_DIR to a folder that this user alone can write',
    );
  }
  return measured;
}

async function measure({ config, clock, logger, runtime, decoder, families }: MeasuredHost): Promise<Measured> {
  logger.info('measuring the latency of every instance on this host');
  const now = () => clock.now();
  const startMs = now();
  const measured = await measureRuns(runtime, families, now);
  const { samples: runs, wall } = measured;
  const decodes = await measureDecodes(decodingOf(decoder), families, now);
  const busy = wasBusy(wall);
  const byCpu = runs !== wall; // which is what it is however busy the host
  // Where large networks leave no time for batches of all instances, another start would find out no more.
  const runsSettled = isWhole(runs) ? byCpu || !busy : byCpu && !wasDelayed(measured);
  const settled = runsSettled && decodedEnough(decodes);
  const ratios = families.map((f) => [f.name, int8Ratio(f.instances, runs)]);
  logger.info({ ms: Math.round(now() - startMs), int8OfFloat32: Object.fromEntries(ratios) }, 'latency measured');
  if (!settled) {
    logger.warn(
      'the host was too busy for this measurement to be believed: runs differed much, or others took the time for some of them. What serves corrects it, and the next start measures again',
    );
  }
  const baselines = baselinesOf(runs, decodes, config.ONNX_THREADS, wall);
  return {
    baselines: {
      ...baselines,
      ...(!settled && !byCpu && { runs: byFlops(baselines.runs, families) }),
      // What these times lie above those of an idle host is more than runs differ: to refuse by both would refuse too much.
      ...((busy || !settled) && { runSpread: [], decodeSpread: [] }),
    },
    fasterTwins: new Set(families.flatMap((f) => fasterTwins(f.instances, runs))),
    settled,
  };
}

const decodingOf = (decoder: Pick<Decoder, 'sample' | 'decode'>): Decoding => ({
  sample: (kind, width, height) => decoder.sample(width, height, kind),
  decode: async (bytes, { resize }) =>
    (await decoder.decode(bytes, resize, { long: true, signal: new AbortController().signal })).ms,
});

function layoutOf({ config, runtime, families, shared }: MeasuredHost): Layout {
  return {
    device: runtime.device,
    engineThreads: runtime.threads,
    onnxThreads: config.ONNX_THREADS,
    onnxruntime: onnxruntimeVersion(),
    allocator: hasJemalloc() ? 'jemalloc' : 'other',
    families: families.map((f) => `${f.name}@${f.version}`),
    weights: families.map((f) => (shared.has(f.name) ? config.WEIGHTS : 'own')),
  };
}

export function onnxruntimeVersion(): string {
  // Read from the package and not imported: the library itself is loaded in engine threads only.
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(entry, 'utf8')) as { version: string }).version;
}
