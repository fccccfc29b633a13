/**
 * Baselines of this host for the latency model: read from CACHE_DIR if an earlier start kept them, else measured and
 * kept.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { messageOf } from './errors.js';
import type { Family } from './family/instance.js';
import type { Decoder } from './image/decoder.js';
import { baselinesOf, byFlops } from './latency/baselines.js';
import { LatencyCache, type Layout, type Measured } from './latency/cache.js';
import {
  type Decoding,
  decodedEnough,
  isComplete,
  measureDecodes,
  measureRuns,
  wasBusy,
  wasDelayed,
} from './latency/measure.js';
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
  /** Name of family -> its shared graphs; families that are not in it do not share weights. */
  readonly shared: ReadonlyMap<string, unknown>;
}

/**
 * The measurement of this host. Problems with CACHE_DIR do not prevent a start: they are logged, and the host is
 * measured.
 */
export async function hostLatency(host: MeasuredHost): Promise<Measured> {
  const { config, logger, families } = host;
  const cacheDir = config.CACHE_DIR;
  const cache = new LatencyCache(cacheDir, layoutOf(host));
  const known = cache.read(families, (reason) =>
    logger.warn({ cacheDir, reason }, 'the latency kept by an earlier start is not used; it is measured again'),
  );
  if (known?.settled) return known;
  const now = await measure(host);
  // Keeps the decision for int8 instances, so that a busy host does not change the served instances from start to
  // start.
  const measured = { ...now, fasterTwins: known?.fasterTwins ?? now.fasterTwins };
  try {
    cache.write(measured);
  } catch (error) {
    logger.warn(
      { cacheDir, error: messageOf(error) },
      'measured latency cannot be kept; the next start measures again. Set CACHE_DIR to a folder that only this user can write',
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
  const byCpu = runs !== wall; // CPU time, which other load hardly changes
  // Networks may be too slow to run all instances in batches in the given time. Another start would not measure more.
  const runsSettled = isComplete(runs) ? byCpu || !busy : byCpu && !wasDelayed(measured);
  const settled = runsSettled && decodedEnough(decodes);
  const ratios = families.map((f) => [f.name, int8Ratio(f.instances, runs)]);
  logger.info({ ms: Math.round(now() - startMs), int8OfFloat32: Object.fromEntries(ratios) }, 'latency measured');
  if (!settled) {
    logger.warn(
      'the host was too busy for a reliable measurement: runs of the same kind differed much, or other programs took the time for some of them. Runs in service will correct it, and the next start measures again',
    );
  }
  const baselines = baselinesOf(runs, decodes, config.ONNX_THREADS, wall);
  return {
    baselines: {
      ...baselines,
      ...(!settled && !byCpu && { runs: byFlops(baselines.runs, families) }),
      // On a busy host the lines are already above the idle times; with the spread on top, too much would be refused
      // (422).
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

/** Version of onnxruntime-node, read from its package.json: the library itself is loaded in engine threads only. */
export function onnxruntimeVersion(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(entry, 'utf8')) as { version: string }).version;
}
