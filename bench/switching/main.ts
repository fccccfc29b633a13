/**
 * What a run costs more where its thread ran another instance before: each has its own copy of the weights, and brings it
 * into the caches again.
 *
 *   npm run bench:switching -- --out bench/results/switching-cifar10.json
 *
 * The cheapest instance in one thread, again and again and with three others in between, in rounds that take turns.
 */
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Instance } from '../../src/family/instance.js';
import { loadFamilies } from '../../src/family/load.js';
import { BATCH_SIZES } from '../../src/policy/picture.js';
import { sessionOptions } from '../../src/runtime/session-options.js';
import { quantile } from '../../src/scheduler/recent.js';
import { FAMILY_OPTIONS, positive } from '../options.js';
import { circumstances, fail, progress, writeResult } from '../support.js';

const RUNS = 20;
const OTHERS = 3;
const OTHERS_BATCH = 2;

const { values: options } = parseArgs({
  options: {
    family: FAMILY_OPTIONS.family,
    models: FAMILY_OPTIONS.models,
    out: FAMILY_OPTIONS.out,
    rounds: { type: 'string', default: '10' },
  },
});
const rounds = positive.int().parse(options.rounds);
const family =
  (await loadFamilies(options.models)).find((f) => f.name === options.family) ?? fail(`no family ${options.family}`);
const byCost = family.instances.toSorted((a, b) => a.flops - b.flops);
const cheapest = byCost[0] as Instance;
/** At even distances in cost, so that all kinds are among them. */
const others = Array.from(
  { length: OTHERS },
  (_, n) => byCost[Math.round(((n + 1) * (byCost.length - 1)) / OTHERS)] as Instance,
);

const settings = sessionOptions({ provider: 'cpu', onnxThreads: 1, arena: true });
const sessions = new Map<Instance, InferenceSession>();
for (const i of [cheapest, ...others]) sessions.set(i, await InferenceSession.create(i.graph, settings));

async function run(instance: Instance, size: number): Promise<number> {
  const pixels = new Uint8Array(size * family.height * family.width * 3).fill(128);
  const image = new Tensor('uint8', pixels, [size, family.height, family.width, 3]);
  const startMs = performance.now();
  await sessions.get(instance)?.run({ image });
  return performance.now() - startMs;
}

const measured = new Map(BATCH_SIZES.map((size) => [size, { again: [] as number[], between: [] as number[] }]));
const bar = progress('switching', rounds * BATCH_SIZES.length);
for (let round = 0; round < rounds; round++) {
  for (const [size, { again, between }] of measured) {
    await run(cheapest, size);
    for (let n = 0; n < RUNS; n++) again.push(await run(cheapest, size));
    for (let n = 0; n < RUNS; n++) {
      for (const other of others) await run(other, OTHERS_BATCH);
      between.push(await run(cheapest, size));
    }
    bar.step();
  }
}
bar.stop();

const facts = (ms: readonly number[]) => {
  const sorted = ms.toSorted((a, b) => a - b);
  const [median, low, high] = [0.5, 0.25, 0.75].map((q) => quantile(sorted, q) as number);
  return { medianMs: median, quartilesMs: [low, high], n: ms.length };
};
const rows = [...measured].map(([batch, { again, between }]) => ({
  batch,
  again: facts(again),
  between: facts(between),
}));
console.table(
  rows.map(({ batch, again, between }) => ({
    batch,
    'again, ms': again.medianMs,
    'between others, ms': between.medianMs,
  })),
);
writeResult(options.out, {
  bench: 'switching',
  ...circumstances(),
  family: family.name,
  version: family.version,
  instance: cheapest.id,
  others: others.map((o) => ({ instance: o.id, batch: OTHERS_BATCH })),
  rows,
});
