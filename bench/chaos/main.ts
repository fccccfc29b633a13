/**
 * Chaos test over HTTP: all shipped families, budgets of every kind, bursts, silences of over a minute, engine threads
 * that are killed, and the whole service suspended for seconds (SIGSTOP) and resumed.
 *
 * npm run build && npm run bench:chaos -- --data data/cifar10/test --photos data/photos --out bench/results/chaos.json
 *
 * Every answer must fit its request. For each status and reason, clients must have read as many answers as the service
 * counted; the two are equal because no client disconnects early here (bench:soak has such clients). Exit status 1 if a
 * check fails, or if the run was too short for a kill, a suspension and a silence of over a minute.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { closedLoop, openLoop } from '../../src/load/open-loop.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import { readMetrics, type Sample, since, total } from '../load/metrics.js';
import { shuffled } from '../load/setup.js';
import { positive } from '../options.js';
import { type Model, readModel } from '../overload/service.js';
import { compile, compiled, type ServiceProcess, startService, stop } from '../service.js';
import { countedBy, stillHeld, unaccounted } from '../soak/accounts.js';
import { Clients, type Wish } from '../soak/clients.js';
import { budgets, KINDS, pick } from '../soak/kinds.js';
import { watch } from '../soak/memory.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { arrivalsOf, type Blow, longestSilenceMs, type Plan, planOf } from './plan.js';
import { findings } from './verdict.js';

/** How long the service is suspended. */
const FREEZE_MS = 3000;
const CONNECTIONS = 16;
const SAMPLE_MS = 10_000;
/** Wait at the end, until the last answers are counted and a killed thread is replaced. */
const QUIET_MS = 5000;
/** Wait at the start, until the service has counted the answers that were read before. */
const COUNTED_MS = 1000;
/** Pictures of each folder that are kept in memory. */
const BODIES = 300;
/** Latency in the budgets, in ms, by the input size of the family in pixels. */
const latencyOf = (inputSide: number) => (inputSide > 100 ? 300 : 100);
/**
 * Answers that are right for any request: the engine thread died with the picture, the queue was full, no thread was
 * alive.
 */
const ALSO_FINE = ['500 engine-failed', '503 overloaded', '503 not-ready'];

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    photos: { type: 'string' },
    minutes: { type: 'string', default: '20' },
    silence: { type: 'string', default: '62' },
    'capacity-seconds': { type: 'string', default: '6' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const [minutes, silenceS] = [positive.parse(options.minutes), positive.parse(options.silence)];
const capacityMs = 1000 * positive.parse(options['capacity-seconds']);
const seed = z.coerce.number().int().parse(options.seed);
const random = seeded(seedFor(seed, 'chaos'));
const folder = mkdtempSync(join(tmpdir(), 'dimmer-chaos-'));

const modelsShape = z.object({
  models: z.array(z.object({ name: z.string(), input: z.object({ height: z.number() }) })),
});

/** The bytes of up to BODIES random pictures of a folder. option: names it in the error message. */
function bodiesOf(data: string | undefined, option: string, draw: Random): Buffer[] {
  const from = data ?? fail(`give ${option}, a folder of pictures`);
  const names = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((n) => /\.(jpe?g|png|webp)$/i.test(n));
  if (names.length === 0) fail(`${from} has no pictures`);
  const chosen = shuffled(names.sort(), draw).slice(0, BODIES);
  return chosen.map((name) => readFileSync(join(from, name)));
}

/** The median accuracy of the family's instances, rounded down: some instances reach it, others do not. */
function middleAccuracy({ instances }: Model): number {
  const sorted = instances.map((i) => i.accuracy).toSorted((a, b) => a - b);
  return Math.floor(1000 * (sorted[Math.floor(sorted.length / 2)] as number)) / 1000;
}

/**
 * all: the requests of the chaos test, by family. cheap: requests to measure capacity with, one picture on the cheapest
 * instance.
 */
async function wishes(
  url: string,
): Promise<{ readonly all: Wish[]; readonly cheap: Wish[]; readonly names: string[] }> {
  const { models } = modelsShape.parse(await (await fetch(`${url}/models`)).json());
  const draw = seeded(seedFor(seed, 'pictures'));
  const small = bodiesOf(options.data, '--data', draw);
  const large = bodiesOf(options.photos, '--photos', draw);
  const stay = KINDS.filter((k) => k.name !== 'leaves');
  const all: Wish[] = [];
  const cheap: Wish[] = [];
  for (const { name, input } of models) {
    const model = await readModel(url, name);
    const latencyMs = latencyOf(input.height);
    const path = `/classify?${new URLSearchParams({ model: name, top: '1' })}`;
    const bodies = latencyMs > latencyOf(0) ? large : small;
    all.push({ path, bodies, kinds: stay, budgets: budgets(latencyMs, middleAccuracy(model)) });
    const full = Math.max(...model.instances.map((i) => i.flops));
    const least = Math.min(...model.instances.map((i) => i.flops)) / full;
    const cost = `cost=${Math.ceil(1000 * least) / 1000}`;
    cheap.push({ path, bodies, kinds: stay.filter((k) => k.name === 'picture'), budgets: [cost] });
  }
  return { all, cheap, names: models.map((m) => m.name) };
}

async function measureCapacity(url: string, cheap: readonly Wish[]): Promise<number> {
  const clients = new Clients(url, random);
  await closedLoop(CONNECTIONS, capacityMs, () => clients.ask(pick(cheap, random)));
  await clients.close();
  if (clients.wrong.length) fail(`requests before the chaos failed: ${clients.wrong[0]}`);
  return (clients.read['200 ok'] ?? 0) / (capacityMs / 1000);
}

function strike({ child }: ServiceProcess, { kind }: Blow): void {
  if (kind === 'kill') child.kill('SIGUSR2');
  else {
    child.kill('SIGSTOP');
    setTimeout(() => child.kill('SIGCONT'), FREEZE_MS);
  }
}

async function chaos(service: ServiceProcess, all: readonly Wish[], plan: Plan, arrivalsMs: readonly number[]) {
  const { child, url } = service;
  const clients = new Clients(url, random, ALSO_FINE);
  await sleep(COUNTED_MS);
  const before = await readMetrics(url);
  let over = false;
  const watching = watch(child.pid as number, url, SAMPLE_MS, () => over);
  const bar = progress('chaos', plan.phases.length);
  const timers = [
    ...plan.blows.map((blow) => setTimeout(() => strike(service, blow), blow.atMs)),
    ...plan.phases.map(({ endMs }) => setTimeout(bar.step, endMs)),
  ];
  const pending: Promise<void>[] = [];
  await openLoop(arrivalsMs, () => void pending.push(clients.ask(pick(all, random))));
  const restMs = (plan.phases.at(-1)?.endMs ?? 0) - (arrivalsMs.at(-1) ?? 0);
  await sleep(Math.max(0, restMs) + FREEZE_MS); // to the end of the plan, and until a suspended service is resumed
  await Promise.all(pending);
  over = true;
  for (const timer of timers) clearTimeout(timer);
  bar.stop();
  const memory = await watching;
  await sleep(QUIET_MS);
  const after = await readMetrics(url);
  await clients.close();
  return { clients, samples: since(before, after), held: stillHeld(after), memory };
}

/** Sends one request to each family, one after another; returns the HTTP status by family. */
async function ask(url: string, all: readonly Wish[], names: readonly string[]): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {};
  for (const [n, { path, bodies }] of all.entries()) {
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: bodies[0] as Buffer });
    await answer.arrayBuffer();
    statuses[names[n] as string] = answer.status;
  }
  return statuses;
}

const died = (samples: readonly Sample[]) => total(samples, 'dimmer_engine_thread_events_total', { event: 'died' });

async function main(service: ServiceProcess): Promise<void> {
  const { url } = service;
  const { all, cheap, names } = await wishes(url);
  const capacityPerS = await measureCapacity(url, cheap);
  const plan = planOf(60_000 * minutes, 1000 * silenceS, random);
  const arrivalsMs = arrivalsOf(plan, capacityPerS, random);
  console.log(`${arrivalsMs.length} requests in ${minutes} min; load 1 is ${capacityPerS.toFixed(0)} a second`);
  const { clients, samples, held, memory } = await chaos(service, all, plan, arrivalsMs);
  const { sent, read } = clients;
  const counted = countedBy(samples);
  const wrong = [...clients.wrong, ...unaccounted(read, counted, 0), ...held];
  const answered = Object.fromEntries(names.map((n) => [n, total(samples, 'dimmer_pictures_total', { model: n })]));
  const afterwards = await ask(url, all, names);
  const silenceMs = longestSilenceMs(arrivalsMs);
  const deaths = died(samples);
  const found = findings({ plan, longestSilenceMs: silenceMs, read, wrong, deaths, answered, afterwards });
  console.table(Object.entries(counted).map(([key, n]) => ({ answer: key, counted: n, read: read[key] ?? 0 })));
  for (const { what, holds, detail } of found) console.log(`${holds ? 'holds ' : 'FAILS '} ${what}: ${detail}`);
  writeResult(options.out, {
    bench: 'chaos',
    ...circumstances(),
    families: names,
    minutes,
    silenceS,
    seed,
    capacityPerS,
    arrivals: arrivalsMs.length,
    plan,
    sent,
    read,
    counted,
    wrongs: wrong.length,
    wrong: [...new Set(wrong)],
    deaths,
    answered,
    afterwards,
    memory,
    findings: found,
  });
  process.exitCode = found.every((f) => f.holds) ? 0 : 1;
}

compile();
try {
  const flags = ['--import', pathToFileURL(compiled('load/killable.js')).href];
  const service = await startService({ CACHE_DIR: folder, MODELS_DIR: 'models' }, undefined, { flags });
  try {
    await main(service);
  } finally {
    service.child.kill('SIGCONT'); // a suspended process would not end
    await stop(service.child);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
