/**
 * Measures the run times from which virtual time draws (a table, see table.ts), as the service does at start: with all
 * engine threads busy.
 *
 * npm run build && npm run bench:table -- --models models --family cifar10
 *
 * The table has only the instances that the service would serve on this host. There are more rounds than at a start,
 * because each sample is also a duration that a simulated run may take.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { readConfig } from '../../src/config.js';
import type { Family } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { baselinesOf, type RunSamples } from '../../src/latency/baselines.js';
import { measureRuns } from '../../src/latency/measure.js';
import { LatencyModel } from '../../src/latency/model.js';
import { fasterTwins } from '../../src/latency/twins.js';
import { graphsOf } from '../../src/networks.js';
import { chosenFrom } from '../../src/router/frontier.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { systemClock } from '../../src/scheduler/clock.js';
import { BATCH_SIZES } from '../batch-sizes.js';
import { circumstances, progress, writeResult } from '../support.js';
import type { Table } from './table.js';

const MOST_SAMPLES = 256;
/** The built code of an engine thread, because node 20 loads no TypeScript in worker threads. */
const WORKER = new URL('../../dist/runtime/worker.js', import.meta.url);

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'models' },
    family: { type: 'string', default: 'cifar10' },
    repeats: { type: 'string', default: '4' },
    out: { type: 'string' },
  },
});
const config = readConfig(process.env);
const family = await loadFamily(join(options.models, options.family));
const repeats = z.coerce.number().int().positive().parse(options.repeats);

/** Instance id -> batch size -> ms of each run, from `repeats` measurements. */
async function measure(family: Family): Promise<Table['samples']> {
  const pool = await ThreadPool.start({
    threads: config.ENGINE_THREADS,
    onnxThreads: config.ONNX_THREADS,
    provider: config.EXECUTION_PROVIDER,
    worker: WORKER,
    graphs: graphsOf(family),
  });
  const bar = progress('measuring', repeats);
  const all: RunSamples[] = [];
  for (let n = 0; n < repeats; n++) {
    all.push((await measureRuns(pool, [family], () => systemClock.now(), BATCH_SIZES)).wall);
    bar.step();
  }
  bar.stop();
  await pool.close();
  return Object.fromEntries(
    family.instances.map((i) => [
      i.id,
      Object.fromEntries(
        BATCH_SIZES.map((size) => [size, all.flatMap((s) => s[i.key]?.[size] ?? []).slice(0, MOST_SAMPLES)]),
      ),
    ]),
  );
}

const samples = await measure(family);
const model = LatencyModel.from(baselinesOf(samples), () => 0);
const samplesByKey = Object.fromEntries(family.instances.map((i) => [i.key, samples[i.id] ?? {}]));
const kept = chosenFrom(family.instances, new Set(fasterTwins(family.instances, samplesByKey)));
const table: Table = {
  family: family.name,
  version: family.version,
  host: { ...circumstances(), onnxThreads: config.ONNX_THREADS, device: config.EXECUTION_PROVIDER },
  threads: config.ENGINE_THREADS,
  instances: kept.map(({ id, key, flops, share, accuracy }) => ({ id, key, flops, share, accuracy })),
  samples: Object.fromEntries(Object.entries(samples).filter(([id]) => kept.some((i) => i.id === id))),
};
const standard = fileURLToPath(new URL(`tables/${family.name}.json`, import.meta.url));
writeResult(options.out ?? standard, table);
console.table(
  Object.fromEntries(
    kept.map((i) => [
      i.id,
      {
        accuracy: i.accuracy,
        share: Number(i.share.toFixed(3)),
        ...Object.fromEntries(BATCH_SIZES.map((n) => [n, model.run(i.id, n).highMs])),
      },
    ]),
  ),
);
