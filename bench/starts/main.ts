/**
 * Checks that every start serves the same instances, also on a busy host. It starts the built service several times
 * beside a busy loop on one core: the first half of the starts each with an empty CACHE_DIR, the second half with a
 * shared one.
 *
 * npm run build && npm run bench:starts -- --starts 10 --out bench/results/starts.json
 *
 * Compared are the served instances, and their order by latencyMs of /models at each batch size. If two instances
 * differ by more than the tolerance at one start, their order may not be reversed by as much at another. Exit status 1
 * if a check fails.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { models } from '../../src/http/schemas.js';
import { startService, stop } from '../service.js';
import { circumstances, progress, writeResult } from '../support.js';
import { type Start, servedOf, swaps } from './compare.js';

const { values: options } = parseArgs({
  options: {
    starts: { type: 'string', default: '10' },
    // A fitted latency is wrong by up to a tenth: it is the lower quartile, and a quarter of the runs is undisturbed.
    // Two of them
    // may differ by twice that.
    tolerance: { type: 'string', default: '0.2' },
    models: { type: 'string', default: 'models' },
    out: { type: 'string' },
  },
});
const count = z.coerce.number().int().min(2).parse(options.starts);
const tolerance = z.coerce.number().positive().parse(options.tolerance);

const folder = mkdtempSync(join(tmpdir(), 'dimmer-starts-'));
const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
process.once('exit', () => busy.kill());

async function start(cache: 'empty' | 'kept', n: number): Promise<Start> {
  const CACHE_DIR = join(folder, cache === 'kept' ? cache : `empty-${n}`);
  const startMs = performance.now();
  const service = await startService({ MODELS_DIR: options.models, CACHE_DIR });
  try {
    const readyMs = Math.round(performance.now() - startMs);
    const answer = models.parse(await (await fetch(`${service.url}/models`)).json());
    const instances = answer.models.flatMap(({ name, instances: all }) =>
      all.map(({ id, served, latencyMs }) => ({ model: name, id, served, latencyMs })),
    );
    return { cache, readyMs, instances };
  } finally {
    await stop(service.child);
  }
}

const starts: Start[] = [];
const bar = progress('starts', count);
try {
  for (let n = 0; n < count; n++) {
    starts.push(await start(n < count / 2 ? 'empty' : 'kept', n));
    bar.step();
  }
} finally {
  bar.stop();
  busy.kill();
  rmSync(folder, { recursive: true, force: true });
}
const served = starts.map(servedOf);
const same = served.every((ids) => ids.join() === served[0]?.join());
const swapped = swaps(starts, tolerance);
console.table(starts.map(({ cache, readyMs }, n) => ({ cache, readyMs, served: served[n]?.length })));
console.log(same ? 'every start serves the same instances' : 'what is served differs from start to start');
console.log(swapped.length ? `${swapped.length} pairs swap` : `no pair that differs by more than ${tolerance} swaps`);
writeResult(options.out, { bench: 'starts', ...circumstances(), tolerance, same, swapped, starts });
process.exitCode = same && swapped.length === 0 ? 0 : 1;
