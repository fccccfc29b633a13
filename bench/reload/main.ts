/**
 * Replaces a family again and again while requests for it and for another family arrive, and checks that no request
 * fails and that memory returns.
 *
 * npm run build && npm run bench:reload -- --data data/cifar10/test --out bench/results/reload.json
 *
 * A family is replaced by the same one with another description, which has another version. Requests have no deadline,
 * so that nothing is refused for the host's load. Memory is the proportional set size (PSS) of the service and its
 * decoding processes after each replacement; the first SETTLING replacements are left out, as buffers still grow. The
 * allocator is that of the image; --allocator glibc measures `npm start` without it.
 * Exit status 1 if a request fails, if a replacement is not served, or if memory grows by more than MOST_MIB with each
 * replacement.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { Client } from '../../src/load/client.js';
import { closedLoop } from '../../src/load/open-loop.js';
import { seeded, seedFor } from '../../src/load/random.js';
import { quantiles } from '../../src/load/statistics.js';
import { shuffled } from '../load/setup.js';
import { positive } from '../options.js';
import { freePort, settingsOfImage, startService, stop } from '../service.js';
import { pssMib, slope } from '../soak/memory.js';
import { circumstances, fail, progress, writeResult } from '../support.js';

const SETTLING = 5;
/** A tenth of the shared weights and graphs of cifar10: if a replaced family stayed, each would add all of them. */
const MOST_MIB = 2;
/** Requests in flight for each family: the engine threads are always wanted. */
const CONNECTIONS = 4;
/** Pause after each replacement, so that requests are answered by each version. */
const BETWEEN_MS = 1000;
const TIMEOUT_MS = 60_000;
const PICTURES = 200;
const [REPLACED, OTHER] = ['cifar10', 'imagenet1k'];

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    models: { type: 'string', default: 'models' },
    replacements: { type: 'string', default: '25' },
    allocator: { type: 'string', default: 'jemalloc' },
    out: { type: 'string' },
  },
});
const data = options.data ?? fail('give --data, a folder of folders with pictures');
const replacements = positive.int().parse(options.replacements);
const allocator = z.enum(['jemalloc', 'glibc']).parse(options.allocator);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-reload-'));
const models = join(folder, 'models');

function pictures() {
  const all = readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(png|jpe?g|webp)$/i.test(name),
  );
  if (all.length === 0) fail(`${data} has no pictures`);
  return shuffled(all, seeded(seedFor(1, 'reload')))
    .slice(0, PICTURES)
    .map((name) => ({ file: join(data, name) }));
}

/** Makes a new version of the family that is replaced. */
function describe(text: string): void {
  const path = join(models, REPLACED as string, 'manifest.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), description: text }));
}

async function versionOf(url: string): Promise<string> {
  const answered = await fetch(`${url}/models/${REPLACED}`);
  return ((await answered.json()) as { version: string }).version;
}

interface Replacement {
  readonly ms: number;
  readonly pssMib: number;
  readonly version: string;
}

async function measure(url: string, admin: string, pid: number) {
  const counts: Record<string, number> = {};
  const latencies: number[] = [];
  const done: Replacement[] = [];
  const bar = progress('replacements', replacements);
  let going = true;
  const load = [REPLACED, OTHER].map(async (model) => {
    const path = `/classify?model=${model}&top=1`;
    const client = new Client({ url, path, headers: {}, pictures: pictures(), timeoutMs: TIMEOUT_MS });
    while (going) {
      await closedLoop(CONNECTIONS, 1000, async (index) => {
        const { status, reason, latencyMs } = await client.post(index);
        const key = `${model}: ${status} ${reason}`;
        counts[key] = (counts[key] ?? 0) + 1;
        latencies.push(latencyMs);
      });
    }
    await client.close();
  });
  for (let n = 0; n < replacements; n++) {
    describe(`version ${n}`);
    const startMs = performance.now();
    const answered = await fetch(`${admin}/v2/repository/models/${REPLACED}/load`, { method: 'POST' });
    const ms = performance.now() - startMs;
    if (!answered.ok) fail(await answered.text());
    await sleep(BETWEEN_MS);
    done.push({ ms, pssMib: await pssMib(pid), version: await versionOf(url) });
    bar.step();
  }
  going = false;
  await Promise.all(load);
  bar.stop();
  return { counts, latencies, done };
}

try {
  for (const name of [REPLACED, OTHER] as string[]) {
    cpSync(join(options.models, name), join(models, name), { recursive: true });
  }
  const port = await freePort();
  const { child, url } = await startService({
    CACHE_DIR: join(folder, 'cache'),
    MODELS_DIR: models,
    ADMIN_PORT: String(port),
    ...(allocator === 'jemalloc' && settingsOfImage()),
  });
  const found = await measure(url, `http://127.0.0.1:${port}`, child.pid as number).finally(() => stop(child));
  const { counts, latencies, done } = found;
  const requests = latencies.length;
  const failed = Object.entries(counts).reduce((sum, [key, n]) => (key.endsWith(': 200 ok') ? sum : sum + n), 0);
  const settled = done.slice(SETTLING).map(({ pssMib: y }, x) => ({ x: 3600 * x, y })); // slope is for 3600 of x
  const mibOfEach = slope(settled);
  const versions = new Set(done.map((r) => r.version)).size;
  const findings = [
    { demand: 'failed requests', found: failed, limit: 0, holds: failed === 0 && requests > 0 },
    { demand: 'versions served', found: versions, limit: replacements, holds: versions === replacements },
    {
      demand: 'MiB that stay of each replacement',
      found: mibOfEach.perHour,
      limit: MOST_MIB,
      holds: mibOfEach.perHour <= MOST_MIB,
    },
  ];
  console.table(findings);
  console.table(counts);
  writeResult(options.out, {
    bench: 'reload',
    ...circumstances(),
    replaced: REPLACED,
    other: OTHER,
    allocator,
    connections: 2 * CONNECTIONS,
    requests,
    counts,
    latencyMs: quantiles(latencies),
    findings,
    mibOfEach: { slope: mibOfEach.perHour, error: mibOfEach.error, after: SETTLING },
    replacements: done,
  });
  process.exitCode = findings.every((f) => f.holds) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
