/**
 * Sensitivity of the utility U to the constants of the plan (src/plan/tuning.ts), in virtual time. One constant at a
 * time is set to lower and higher values, and parts of the plan are switched off one at a time.
 *
 * npm run bench:sweep -- --out bench/results/sweep.json
 *
 * The traces are those on which the plan has a choice, for both families. All variants have the same seeds, so that
 * differences are paired. Takes six minutes on one CPU.
 */
import { parseArgs } from 'node:util';
import { runNow } from '../../src/plan/run.js';
import { TUNING, type Tuning } from '../../src/plan/tuning.js';
import { positive } from '../options.js';
import type { Contender } from '../policies/contender.js';
import { circumstances, progress, writeResult } from '../support.js';
import { type Host, serve, servedFrom } from './service.js';
import { summarise } from './summary.js';
import { assumedOf, readTable, tablePath, yardsticks } from './table.js';
import { makeTraces, overload } from './traces.js';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    seeds: { type: 'string', default: '3' },
    tables: { type: 'string', default: 'cifar10,imagenet1k' },
    out: { type: 'string' },
  },
});
const TRACES = ['poisson 0.8', 'gamma cv2=8 0.7', 'ramp 0.2-1.2', 'day 0.5'];
const OVERLOAD = 1.5;

/** For each constant, values below and above the one in use. */
const OTHERS: Readonly<Record<keyof Tuning, readonly number[]>> = {
  horizons: [1, 1.25, 1.75, 2],
  decodedAhead: [2, 8, 16],
  batchSaving: [1, 4],
  answerShare: [0, 0.25, 0.75, 1],
  misses: [0.003, 0.03],
  marginStep: [0, 0.003, 0.03, 0.1],
  mostMargin: [1.5, 6],
};

const WITHOUT_WAITING: Contender = {
  name: 'without waiting for fuller batches',
  note: '',
  create: () => ({ chooseRun: runNow }),
};

interface Variant {
  readonly name: string;
  readonly tuning: Tuning;
  readonly contender?: Contender;
}
const variants: Variant[] = [
  { name: 'as it is', tuning: TUNING },
  { name: WITHOUT_WAITING.name, tuning: TUNING, contender: WITHOUT_WAITING },
  { name: 'without those expected', tuning: { ...TUNING, horizons: 1e6 } },
  ...Object.entries(OTHERS).flatMap(([key, values]) =>
    values.map((value) => ({ name: `${key}=${value}`, tuning: { ...TUNING, [key]: value } })),
  ),
];

const durationMs = 1000 * positive.parse(options.seconds);
const seeds = Array.from({ length: positive.int().parse(options.seeds) }, (_, n) => n + 1);
const families = options.tables.split(',');
const bar = progress('sweep', families.length * variants.length);
/** Table -> variant -> trace -> U of each seed. */
const results: Record<string, Record<string, Record<string, number[]>>> = {};
for (const family of families) {
  const table = readTable(tablePath(family));
  const overhead = assumedOf(family);
  const host: Host = { table, instances: servedFrom(table), cpus: table.threads, overhead };
  const { capacityPerMs, deadlineMs } = yardsticks(table, host.cpus, overhead);
  const ofFamily: Record<string, Record<string, number[]>> = {};
  results[family] = ofFamily;
  for (const { name, tuning, contender } of variants) {
    const byTrace: Record<string, number[]> = {};
    ofFamily[name] = byTrace;
    for (const seed of seeds) {
      const of = { capacityPerMs, durationMs, seed };
      const traces = [...makeTraces(of).filter((t) => TRACES.includes(t.name)), overload(OVERLOAD, of)];
      for (const { name: trace, arrivalsMs } of traces) {
        const load = { arrivalsMs, latencyMs: deadlineMs, strict: true, seed, tuning, contender };
        const { utility } = summarise(await serve(host, load), capacityPerMs * durationMs);
        byTrace[trace] = [...(byTrace[trace] ?? []), utility];
      }
    }
    bar.step();
    writeResult(options.out, {
      bench: 'sweep',
      ...circumstances(),
      setting: { durationMs, seeds },
      tuning: TUNING,
      results,
    });
  }
}
bar.stop();
for (const [family, byVariant] of Object.entries(results)) {
  const base = byVariant['as it is'] as Record<string, number[]>;
  console.log(`\n${family}: points of U more than as it is, mean of the paired differences`);
  console.table(
    Object.fromEntries(
      Object.entries(byVariant).map(([name, byTrace]) => [
        name,
        Object.fromEntries(
          Object.entries(byTrace).map(([trace, all]) => {
            const differences = all.map((u, n) => 100 * (u - ((base[trace] as number[])[n] as number)));
            return [trace, (differences.reduce((a, b) => a + b, 0) / all.length).toFixed(2)];
          }),
        ),
      ]),
    ),
  );
}
