/**
 * Run time of every instance with shared weights, relative to an ordinary session with all optimisations.
 *
 * npm run bench:sessions -- --models models --out bench/results/sessions-shipped.json
 *
 * Measured is the CPU time of one thread, without intra-op threads, in a separate process for each family with the
 * allocator of the Dockerfile. Both sessions take turns. The figure for a batch size is the lower quartile of --runs
 * runs, as any disturbance makes a run longer. Exit status 1 if the ratios of all instances have a median above 1.03 or
 * a 95th percentile above 1.15.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { quantileOf } from '../../src/latency/quantile.js';
import { positive } from '../options.js';
import { compile, compiled, settingsOfImage } from '../service.js';
import { circumstances, progress, writeResult } from '../support.js';
import type { Compared, Question } from './pair.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'models' },
    weights: { type: 'string', multiple: true, default: ['auto'] },
    runs: { type: 'string', default: '20' },
    out: { type: 'string' },
  },
});
const MOST = { median: 1.03, p95: 1.15 };
const folder = mkdtempSync(join(tmpdir(), 'dimmer-sessions-'));

async function compare(question: Question): Promise<Compared[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [compiled('sessions/pair.js'), JSON.stringify(question)],
    {
      env: { ...process.env, ...settingsOfImage() },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  return JSON.parse(stdout) as Compared[];
}

compile();
try {
  const names = readdirSync(options.models);
  const bar = progress('sessions', names.length * options.weights.length);
  const all: (Compared & { weights: string })[] = [];
  for (const weights of options.weights) {
    for (const name of names) {
      const question = {
        family: resolve(options.models, name),
        cacheDir: join(folder, 'cache'),
        weights: weights as Question['weights'],
        runs: positive.int().parse(options.runs),
      };
      all.push(...(await compare(question)).map((c) => ({ ...c, weights })));
      bar.step();
    }
  }
  bar.stop();
  const summaries = options.weights.flatMap((weights) =>
    [...new Set(all.map((c) => c.size))].map((size) => {
      const ratios = all.filter((c) => c.weights === weights && c.size === size).map((c) => c.ratio);
      const at = (q: number) => quantileOf(ratios, q) as number;
      return { weights, size, n: ratios.length, median: at(0.5), p95: at(0.95), largest: Math.max(...ratios) };
    }),
  );
  console.table(
    summaries.map(({ median, p95, largest, ...s }) => ({
      ...s,
      median: median.toFixed(3),
      p95: p95.toFixed(3),
      largest: largest.toFixed(3),
    })),
  );
  const largestDifference = Math.max(...all.map((c) => c.difference));
  console.log(`logits differ by ${largestDifference.toExponential(1)} at most`);
  writeResult(options.out, {
    bench: 'sessions',
    ...circumstances(),
    settings: settingsOfImage(),
    limits: MOST,
    summaries,
    largestDifference,
    instances: all,
  });
  process.exitCode = summaries.every((s) => s.median <= MOST.median && s.p95 <= MOST.p95) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
