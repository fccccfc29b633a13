/**
 * Soak test below capacity: an hour of mixed requests (budgets of every kind, forms, damaged files, files that are no
 * pictures, clients that disconnect early). The answers that clients read are compared with the requests that the
 * service counted. Memory, open file descriptors and the length of the queue are sampled.
 *
 * npm run build && npm run bench:soak-mixed -- --data data/cifar10 --minutes 60 --out
 * bench/results/soak-mixed-cifar10.json
 *
 * Exit status 1 if a count is wrong. Memory is the proportional set size (PSS) of the service and its decoding
 * processes; its slope is fitted after the first ten minutes.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { poisson } from '../../src/load/arrivals.js';
import { openLoop } from '../../src/load/open-loop.js';
import { seeded, seedFor } from '../../src/load/random.js';
import { readMetrics, since, total } from '../load/metrics.js';
import { measureYardsticks } from '../load/setup.js';
import { FAMILY_OPTIONS, familyOptions, positive } from '../options.js';
import { startService, stop } from '../service.js';
import { circumstances, writeResult } from '../support.js';
import { countedBy, stillHeld, unaccounted } from './accounts.js';
import { Clients } from './clients.js';
import { budgets, KINDS } from './kinds.js';
import { slope, watch } from './memory.js';

const CAPACITY_S = 8;
const SAMPLE_MS = 10_000;
/**
 * Samples of memory before this time are left out of the slope: caches and heaps still grow, glibc's allocator for
 * minutes.
 */
const SETTLED_S = 600;
/** Wait at the end, until the service has noticed that the last clients disconnected. */
const QUIET_MS = 2000;
/** An accuracy that some instances of the shipped families reach and others do not. */
const ACCURACY = 0.8;

const { values: options } = parseArgs({
  options: {
    ...FAMILY_OPTIONS,
    minutes: { type: 'string', default: '60' },
    load: { type: 'string', default: '0.7' },
  },
});
const family = familyOptions(options);
const [minutes, load] = [positive.parse(options.minutes), positive.parse(options.load)];
const random = seeded(seedFor(family.seed, 'soak-mixed'));
const folder = mkdtempSync(join(tmpdir(), 'dimmer-soak-'));
const environment = family.environment(folder);

async function soak(url: string, pid: number, bodies: readonly Buffer[], perS: number, deadlineMs: number) {
  const arrivalsMs = poisson(perS / 1000, minutes * 60_000, random);
  const clients = new Clients(url, random);
  const wish = { path: '/classify?top=1', kinds: KINDS, budgets: budgets(deadlineMs, ACCURACY), bodies };
  const { sent, read, wrong } = clients;
  const before = await readMetrics(url);
  const places: { seconds: number; descriptors: number; queued: number }[] = [];
  let over = false;
  const startMs = performance.now();
  const sampling = (async () => {
    for (; !over; await sleep(SAMPLE_MS)) {
      const samples = await readMetrics(url).catch(() => []);
      const seconds = Math.round((performance.now() - startMs) / 1000);
      const descriptors = readdirSync(`/proc/${pid}/fd`).length;
      places.push({ seconds, descriptors, queued: total(samples, 'dimmer_queue_pictures') });
      process.stdout.write(`\r${(seconds / 60).toFixed(1)} of ${minutes} min, wrong: ${wrong.length}  `);
    }
  })();
  const watching = watch(pid, url, SAMPLE_MS, () => over);
  const pending: Promise<void>[] = [];
  await openLoop(arrivalsMs, () => void pending.push(clients.ask(wish)));
  await Promise.all(pending);
  over = true;
  const [points] = await Promise.all([watching, sampling]);
  await sleep(QUIET_MS);
  const samples = since(before, await readMetrics(url));
  const after = await readMetrics(url);
  await clients.close();
  const counted = countedBy(samples);
  wrong.push(...unaccounted(read, counted, read.left ?? 0), ...stillHeld(after));
  return { sent, read, counted, wrong: [...new Set(wrong)], wrongs: wrong.length, points, places };
}

try {
  const { child, url } = await startService(environment);
  try {
    const material = await family.material(url);
    const { capacityPerS, deadlineMs } = await measureYardsticks(url, material, CAPACITY_S);
    const bodies = material.pictures.slice(0, 1000).map(({ file }) => readFileSync(file));
    const perS = load * capacityPerS;
    console.log(`${perS.toFixed(0)} requests a second for ${minutes} min, deadlines of ${deadlineMs} ms`);
    const found = await soak(url, child.pid as number, bodies, perS, deadlineMs);
    const settled = found.points.filter((p) => p.seconds >= Math.min(SETTLED_S, (minutes * 60) / 4));
    const of = (y: (p: (typeof settled)[number]) => number) => slope(settled.map((p) => ({ x: p.seconds, y: y(p) })));
    const memoryPerHour = { pssMib: of((p) => p.pssMib), heapMib: of((p) => p.heapMib) };
    console.log('\n', found.sent, found.counted, memoryPerHour);
    for (const wrong of found.wrong) console.log(`WRONG ${wrong}`);
    writeResult(options.out, {
      bench: 'soak-mixed',
      ...circumstances(),
      model: material.model.name,
      modelVersion: material.model.version,
      minutes,
      load,
      seed: family.seed,
      requestsPerS: perS,
      deadlineMs,
      ...found,
      memoryPerHour,
    });
    process.exitCode = found.wrong.length ? 1 : 0;
  } finally {
    await stop(child);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
