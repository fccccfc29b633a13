/**
 * Soak test: ten minutes at 1.5 times the capacity. Some clients disconnect early, at random moments.
 *
 * npm run build && npm run bench:soak -- --data data/cifar10 --out bench/results/soak-cifar10.json
 *
 * Every request is accounted for: the service must have counted the answers that clients read, and beyond these only
 * requests of clients that disconnected. Memory is sampled, and its slope is fitted after SETTLED_S. Exit status 1 if a
 * count is wrong.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { poisson } from '../../src/load/arrivals.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import { summarise } from '../../src/load/summary.js';
import { generate } from '../load/generate.js';
import type { Leaver } from '../load/job.js';
import { readMetrics, since } from '../load/metrics.js';
import { measureYardsticks, requests } from '../load/setup.js';
import { FAMILY_OPTIONS, familyOptions, positive } from '../options.js';
import { startService, stop } from '../service.js';
import { circumstances, writeResult } from '../support.js';
import { accounts } from './accounts.js';
import { type Point, slope, watch } from './memory.js';

const CAPACITY_S = 8;
const WARM_UP = { connections: 8, ms: 2000 };
const SAMPLE_MS = 5000;
/** Samples of memory before this time are left out of the slope: buffers and tables still grow. */
const SETTLED_S = 120;
/** Wait at the end, until the service has noticed that the last clients disconnected. */
const QUIET_MS = 1000;
const MOMENTS = ['before', 'upload', 'waiting'] as const;

const { values: options } = parseArgs({
  options: {
    ...FAMILY_OPTIONS,
    minutes: { type: 'string', default: '10' },
    load: { type: 'string', default: '1.5' },
    leave: { type: 'string', default: '0.05' },
  },
});
const family = familyOptions(options);
const { seed } = family;
const [minutes, load] = [positive.parse(options.minutes), positive.parse(options.load)];
const share = z.coerce.number().min(0).max(1).parse(options.leave);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-soak-'));
const environment = family.environment(folder);

/**
 * Draws the clients that disconnect early, by index of the request: the moment, and how long after their last byte.
 * That is up to twice the deadline, so that some have been answered by then.
 */
function leaversAmong(arrivals: number, deadlineMs: number, random: Random): Record<number, Leaver> {
  const leavers: Record<number, Leaver> = {};
  for (let index = 0; index < arrivals; index++) {
    if (random() >= share) continue;
    const moment = MOMENTS[Math.floor(random() * MOMENTS.length)] as Leaver['moment'];
    leavers[index] = { moment, afterMs: random() * 2 * deadlineMs };
  }
  return leavers;
}

/** Measures capacity and deadline on a separate service, so that the one under test has learnt nothing from it. */
async function prepare() {
  const { child, url } = await startService(environment);
  try {
    const material = await family.material(url);
    return { material, yardsticks: await measureYardsticks(url, material, CAPACITY_S) };
  } finally {
    await stop(child);
  }
}

async function soak({ material, yardsticks }: Awaited<ReturnType<typeof prepare>>) {
  const { capacityPerS, deadlineMs } = yardsticks;
  const random = seeded(seedFor(seed, 'soak'));
  const arrivalsMs = poisson((load * capacityPerS) / 1000, minutes * 60_000, random);
  const leavers = leaversAmong(arrivalsMs.length, deadlineMs, random);
  const { child, url } = await startService(environment);
  try {
    const requested = { url, ...requests(material, { latencyMs: deadlineMs }) };
    await generate({ ...requested, closed: WARM_UP, arrivalsMs: [] });
    const before = await readMetrics(url);
    let over = false;
    const watching = watch(child.pid as number, url, SAMPLE_MS, () => over);
    const job = { ...requested, closed: { connections: 0, ms: 0 }, arrivalsMs, leavers };
    const { records, ...generator } = await generate(job).finally(() => {
      over = true;
    });
    const points = await watching;
    await sleep(QUIET_MS);
    const samples = since(before, await readMetrics(url));
    const stayed = records.filter((r) => !r.left);
    return {
      accounts: accounts(records, samples, deadlineMs),
      summary: summarise(stayed, material.profile, deadlineMs),
      generator,
      points,
    };
  } finally {
    await stop(child);
  }
}

function slopes(points: readonly Point[]) {
  const settled = points.filter((p) => p.seconds >= SETTLED_S);
  const of = (y: (p: Point) => number) => slope(settled.map((p) => ({ x: p.seconds, y: y(p) })));
  return { pssMib: of((p) => p.pssMib), heapMib: of((p) => p.heapMib), afterS: SETTLED_S, points: settled.length };
}

try {
  const setting = await prepare();
  const { model } = setting.material;
  const { deadlineMs, capacityPerS } = setting.yardsticks;
  console.log(`${(load * capacityPerS).toFixed(0)} requests a second for ${minutes} min, each within ${deadlineMs} ms`);
  const { accounts: found, summary, generator, points } = await soak(setting);
  const memoryPerHour = slopes(points);
  console.table(found.lines);
  console.log('left without an answer:', found.left, `counted by the service: ${found.countedForLeft}`);
  console.log('memory, MiB an hour:', memoryPerHour.pssMib, 'heap:', memoryPerHour.heapMib);
  for (const wrong of found.wrong) console.log(`WRONG ${wrong}`);
  writeResult(options.out, {
    bench: 'soak',
    ...circumstances(),
    model: model.name,
    modelVersion: model.version,
    device: model.device,
    minutes,
    load,
    seed,
    leave: share,
    ...setting.yardsticks,
    accounts: found,
    ofThoseWhoStayed: summary,
    generator,
    memoryPerHour,
    memory: points,
  });
  process.exitCode = found.wrong.length ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
