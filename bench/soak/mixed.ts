/**
 * An hour of everything that clients do: budgets of every kind, forms, files that are none, clients that leave; below
 * capacity. Every request is accounted for on both sides, and memory, descriptors and the queue are sampled.
 *
 *   npm run build && npm run bench:soak-mixed -- --data data/cifar10 --minutes 60 --out bench/results/soak-mixed-cifar10.json
 *
 * Exit status 1 if an account is wrong. Memory is that of the service and its decoding processes (PSS), and its slope is
 * taken after the first ten minutes.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { FormData, Pool } from 'undici';
import { readMetrics, since, total } from '../load/metrics.js';
import { openLoop } from '../load/open-loop.js';
import { measureYardsticks } from '../load/setup.js';
import { FAMILY_OPTIONS, familyOptions, positive } from '../options.js';
import { startService, stop } from '../service.js';
import { circumstances, writeResult } from '../support.js';
import { seeded, seedFor } from '../virtual/random.js';
import { poisson } from '../virtual/traces.js';
import { slope, watch } from './memory.js';

const CAPACITY_S = 8;
const SAMPLE_MS = 10_000;
/** Until caches and heaps have their size: memory of the system's allocator settles slowly. */
const SETTLED_S = 600;
/** Until the last clients that left are noticed. */
const QUIET_MS = 2000;
const TIMEOUT_MS = 60_000;

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

const count = (counts: Record<string, number>, key: string) => {
  counts[key] = (counts[key] ?? 0) + 1;
};

const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

/** Each budget as often as any other. */
function budgets(deadlineMs: number): (string | undefined)[] {
  const latency = `latency=${Math.round(deadlineMs)}`;
  return [undefined, 'cost=0.5', 'accuracy=0.8', latency, `${latency}, strict=?0`, `${latency}, cost=0.6`, 'speed=1'];
}

interface Kind {
  readonly name: string;
  readonly share: number;
  /** Pictures of an answer; 0 if it is refused. */
  readonly pictures: number;
}
const KINDS: readonly Kind[] = [
  { name: 'picture', share: 0.8, pictures: 1 },
  { name: 'form', share: 0.08, pictures: 3 },
  { name: 'truncated', share: 0.04, pictures: 0 },
  { name: 'text', share: 0.04, pictures: 0 },
  { name: 'leaves', share: 0.04, pictures: 0 },
];

function kind(): Kind {
  const place = random();
  let upTo = 0;
  for (const k of KINDS) {
    upTo += k.share;
    if (place < upTo) return k;
  }
  return KINDS[0] as Kind;
}

/** Statuses that every valid request may get: its budget cannot be met, now or at all. */
const FOR_THE_BUDGET = [422, 503, 504];
const REFUSED: Record<string, number> = { text: 415, truncated: 422 };

/** What is wrong with an answer; undefined if nothing is. */
function faultOf({ name, pictures }: Kind, budget: string | undefined, status: number, results: number | undefined) {
  if (name === 'leaves') return undefined;
  const expected = budget === 'speed=1' ? 400 : (REFUSED[name] ?? 200);
  if (status !== expected && !(expected !== 400 && FOR_THE_BUDGET.includes(status))) return `${name}: ${status}`;
  return status === 200 && results !== pictures ? `${name}: ${results} results for ${pictures} pictures` : undefined;
}

async function soak(url: string, pid: number, bodies: readonly Buffer[], perS: number, deadlineMs: number) {
  const pool = new Pool(url, { connections: 256, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  const arrivalsMs = poisson(perS / 1000, minutes * 60_000, random);
  const read: Record<string, number> = {};
  const wrong: string[] = [];
  const sent: Record<string, number> = {};
  const all = budgets(deadlineMs);

  const bodyOf = ({ name }: Kind): Buffer | FormData => {
    const picture = pick(bodies);
    if (name === 'truncated') return picture.subarray(0, picture.length >> 1);
    if (name === 'text') return Buffer.from('no picture at all');
    if (name !== 'form') return picture;
    const form = new FormData();
    for (let n = 0; n < 3; n++) form.append('image', new Blob([pick(bodies)]));
    return form;
  };

  const ask = async (): Promise<void> => {
    const what = kind();
    const budget = pick(all);
    count(sent, what.name);
    const leaving = what.name === 'leaves' ? AbortSignal.timeout(Math.ceil(random() * 20)) : null;
    try {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/classify?top=1',
        headers: budget === undefined ? {} : { 'Inference-Budget': budget },
        body: bodyOf(what),
        signal: leaving,
      });
      const answer = (await body.json()) as { type?: string; results?: unknown[] };
      const code = answer.type?.replace('urn:dimmer:problem:', '') ?? 'ok';
      count(read, `${statusCode} ${code}`);
      const fault = faultOf(what, budget, statusCode, answer.results?.length);
      if (fault !== undefined) wrong.push(fault);
    } catch (error) {
      count(read, leaving ? 'left' : 'no answer');
      if (!leaving) wrong.push(`${what.name}: ${(error as Error).message}`);
    }
  };

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
  await openLoop(arrivalsMs, () => void pending.push(ask()));
  await Promise.all(pending);
  over = true;
  const [points] = await Promise.all([watching, sampling]);
  await sleep(QUIET_MS);
  const samples = since(before, await readMetrics(url));
  const after = await readMetrics(url);
  await pool.close();

  const counted = Object.fromEntries(
    samples
      .filter((s) => s.name === 'dimmer_requests_total' && s.value > 0)
      .map((s) => [`${s.labels.status} ${s.labels.reason}`, s.value]),
  );
  // A client that left may have been answered, refused or not have come at all.
  const surplus = Object.entries(counted).map(([key, n]) => [key, n - (read[key] ?? 0)] as const);
  for (const [key, n] of surplus) if (n < 0) wrong.push(`${key}: read ${-n} times more than counted`);
  const forLeft = surplus.reduce((sum, [, n]) => sum + n, 0);
  if (forLeft > (read.left ?? 0)) wrong.push(`${forLeft} counted beyond what was read, ${read.left} left`);
  const held = { bytes: total(after, 'dimmer_waiting_bytes'), queued: total(after, 'dimmer_queue_pictures') };
  if (held.bytes || held.queued) wrong.push(`held after the end: ${JSON.stringify(held)}`);
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
