/**
 * Overload: more is asked of the built service than it can do, for a while, and then nothing.
 *
 *   npm run bench:overload -- --pictures cifar --data data/cifar10/test --out bench/results/overload-cifar10.json
 *   npm run bench:overload -- --pictures 224 --data data/photos --out bench/results/overload-imagenet1k-224.json
 *   npm run bench:overload -- --pictures 12mp --out bench/results/overload-imagenet1k-12mp.json
 *
 * Every run has a fresh service. Three requests come alone and say which instance an idle host gives. A closed loop with
 * the cheapest instance pinned says what the host can do now, and the same client then offers `load` times as much, open
 * loop with Poisson arrivals. Two seconds after its last answer a request comes alone once more. A shared host does a
 * fifth more or less a few minutes later, so a run is judged by the median of the capacity measured before it, with it
 * and after it; the order of loads is drawn anew in each round, and several services (`--service FOLDER`, each another
 * built checkout) take turns within each.
 *
 * Judged by medians over rounds, and exit status 1 if one does not hold:
 * - answers in time a second >= 0.9 of capacity; from twice the capacity on >= 0.8 of what is left of it beside refusing
 *   and the client. In time is by the contract's clock, `totalMs` <= latency; only what was answered while requests still
 *   arrived counts, so that a backlog at the end is no rate. Figures by the client's clock stand beside it.
 *   The formula is in goal.ts. A refusal's CPU is measured where every request is refused (a latency that nothing can
 *   keep): what it costs to decide with a full queue is not in it, so the goal is rather too high.
 * - admitted and expired (504) <= 1 % of arrivals
 * - refusals have their head within 20 ms (p99), from the start of the request at the client; how late it started is
 *   `lagMs`. With strict=?0 those who waited MAX_WAIT_MS first are counted apart.
 * - every request gets an answer, and none of 500
 * - the lone request gets an instance as accurate as before the overload
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { poisson } from '../../src/load/arrivals.js';
import { CONNECTIONS as CLIENT_CONNECTIONS } from '../../src/load/client.js';
import { seeded, seedFor } from '../../src/load/random.js';
import { median } from '../../src/load/statistics.js';
import { MOST_LAG_MS } from '../../src/load/summary.js';
import { busyNow, foreignCpus } from '../load/foreign.js';
import type { GeneratorEvent, Picture } from '../load/job.js';
import { CONNECTIONS, shuffled } from '../load/setup.js';
import { positive } from '../options.js';
import { type ServiceProcess, startService, stop } from '../service.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { correctedCapacity } from './goal.js';
import { KINDS, type PictureKind, pictures } from './pictures.js';
import {
  type Alone,
  accuraciesOf,
  askAlone,
  askApart,
  type Capacity,
  cheapestOf,
  latencyBudget,
  type Model,
  measureCapacity,
  offer,
  readModel,
  type Target,
} from './service.js';
import { type Summary, summarise, sumOf } from './summary.js';
import { lineOf, tableOf } from './table.js';
import { capacityAround, type Finding, findings, MODES, type Mode, type Run, spreadOf } from './verdict.js';

/** The deadlines of the goal, by kind of pictures. */
const LATENCY_MS: Readonly<Record<PictureKind, number>> = { cifar: 100, '224': 300, '12mp': 1500 };
/** After an overload, until the lone request. */
const REST_MS = 2000;
const IDLE_REQUESTS = 3;
/** No instance keeps it. */
const IMPOSSIBLE_MS = 0.001;
const MAX_WAIT_MS = 10_000;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const { values: options } = parseArgs({
  options: {
    pictures: { type: 'string', default: 'cifar' },
    family: { type: 'string' },
    models: { type: 'string', default: 'models' },
    data: { type: 'string' },
    latency: { type: 'string' },
    loads: { type: 'string', default: '1.2,1.5,3' },
    conditions: { type: 'string', default: MODES.join() },
    seconds: { type: 'string', default: '30' },
    'capacity-seconds': { type: 'string', default: '5' },
    runs: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    service: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
  },
});
const kind = z.enum(KINDS).parse(options.pictures);
const family = options.family ?? (kind === 'cifar' ? 'cifar10' : 'imagenet1k');
const latencyMs = positive.parse(options.latency ?? LATENCY_MS[kind]);
const loads = options.loads.split(',').map((load) => positive.parse(load));
const modes = options.conditions.split(',').map((mode) => z.enum(MODES).parse(mode));
const durationMs = 1000 * positive.parse(options.seconds);
const capacityS = positive.parse(options['capacity-seconds']);
const rounds = positive.int().parse(options.runs);
const seed = z.coerce.number().int().parse(options.seed);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-overload-'));

interface Service {
  readonly name: string;
  readonly root: string;
  readonly commit: string;
  /** In the order of time. */
  readonly capacities: Capacity[];
  /** ms of CPU for a refusal, one for each round. */
  readonly refusalsMs: number[];
}

interface Once {
  readonly service: Service;
  readonly round: number;
  readonly load: number;
  readonly mode: Mode;
}

interface Measured extends Once {
  /** Its place among the service's capacities. */
  readonly place: number;
  readonly offeredPerS: number;
  readonly model: Model;
  readonly cheapest: string;
  readonly summary: Summary;
  readonly serviceMs: number;
  readonly serviceMsPerS: number;
  readonly clientMsPerS: number;
  readonly mostInFlight: number;
  readonly priority: string;
  readonly foreignCpus: number | undefined;
  readonly alone: { before: Alone[]; whileAnswering?: Alone; after: Alone };
}

function serviceAt(root: string): Service {
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {} // a build without its history
  const name = resolve(root) === resolve(ROOT) ? 'this' : basename(resolve(root));
  return { name, root: resolve(root), commit, capacities: [], refusalsMs: [] };
}

async function withService<T>(
  { name, root }: Service,
  bodies: readonly Picture[],
  use: (target: Target) => Promise<T>,
): Promise<T> {
  const cache = join(folder, name);
  const environment = {
    CACHE_DIR: cache,
    MODELS_DIR: options.models,
    DEFAULT_MODEL: family,
    MAX_WAIT_MS: `${MAX_WAIT_MS}`,
  };
  const { child, url }: ServiceProcess = await startService(environment, undefined, { root });
  try {
    return await use({ url, pid: child.pid as number, family, pictures: bodies });
  } finally {
    await stop(child);
  }
}

const capacityNow = async (target: Target, service: Service): Promise<string> => {
  const instance = cheapestOf(await readModel(target.url, family));
  service.capacities.push(await measureCapacity(target, { instance, connections: CONNECTIONS, seconds: capacityS }));
  return instance;
};

/** The median of what was measured last: one measurement may have been disturbed. */
const recentPerS = ({ capacities }: Service): number => median(capacities.slice(-3).map((c) => c.perS));

/** Every request is refused, as many a second as have to be at the highest load: what a refusal costs the service. */
async function measureRefusals(target: Target, service: Service): Promise<void> {
  const perS = Math.max(1, Math.max(...loads) - 1) * recentPerS(service);
  const arrivalsMs = poisson(perS / 1000, 1000 * capacityS, seeded(seedFor(seed, 'refusals')));
  const refuse = () => offer(target, arrivalsMs, latencyBudget(IMPOSSIBLE_MS, true));
  await refuse(); // until code is compiled: a refusal that costs too much would be a goal that asks too little
  const { outcome, serviceMs } = await refuse();
  const others = outcome.records.filter((r) => r.status !== 422 && r.status !== 503);
  if (others.length > 0) fail(`latency=${IMPOSSIBLE_MS} was not refused: ${others[0]?.status} ${others[0]?.reason}`);
  service.refusalsMs.push(serviceMs / arrivalsMs.length);
}

/** The lone request comes REST_MS after the last answer; one REST_MS after the last arrival if others still wait. */
async function overload(target: Target, arrivalsMs: readonly number[], mode: Mode) {
  let whileAnswering: Promise<Alone> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const on = (event: GeneratorEvent) => {
    if (event === 'ended') clearTimeout(timer);
    if (event !== 'started') return;
    const lookMs = (arrivalsMs.at(-1) ?? 0) + REST_MS;
    timer = setTimeout(() => {
      whileAnswering = askAlone(target, latencyMs);
    }, lookMs);
  };
  const offered = await offer(target, arrivalsMs, latencyBudget(latencyMs, mode === 'strict'), on);
  clearTimeout(timer);
  const early = await whileAnswering;
  await sleep(REST_MS);
  const after = await askAlone(target, latencyMs);
  return { ...offered, alone: { after, ...(early && { whileAnswering: early }) } };
}

function once({ service, round, load, mode }: Once, bodies: readonly Picture[]): Promise<Measured> {
  return withService(service, bodies, async (target): Promise<Measured> => {
    const before = await askApart(target, latencyMs, IDLE_REQUESTS);
    const cheapest = await capacityNow(target, service);
    const place = service.capacities.length - 1;
    const offeredPerS = load * recentPerS(service);
    // The same trace for each mode and service, stretched by what each can do.
    const random = seeded(seedFor(seed, `overload ${round} ${load}`));
    const arrivalsMs = poisson(offeredPerS / 1000, durationMs, random);
    const from = busyNow(target.pid);
    const { outcome, alone, ...cpu } = await overload(target, arrivalsMs, mode);
    const foreign = foreignCpus(from, busyNow(target.pid), 0);
    const model = await readModel(target.url, family);
    const window = { latencyMs, durationMs, maxWaitMs: MAX_WAIT_MS };
    const summary = summarise(outcome.records, accuraciesOf(model), window);
    const { mostInFlight, priority } = outcome;
    const facts = { service, round, load, mode, place, offeredPerS, model, cheapest, mostInFlight, priority };
    // Not the client's: what it took over the whole time is known by its share.
    const others = foreign === undefined ? undefined : Math.max(0, foreign - outcome.cpuShare);
    return { ...facts, summary, ...cpu, foreignCpus: others, alone: { before, ...alone } };
  });
}

/** A run with the capacity that it is judged by, which is known once the next has been measured. */
function judgedRun(m: Measured): Run {
  const { service, load, mode, place, summary, offeredPerS, clientMsPerS, alone } = m;
  const around = (of: (c: Capacity) => number) => capacityAround(service.capacities.map(of), place - 1);
  const accuracies = accuraciesOf(m.model);
  const accuracy = ({ instance }: Alone) => accuracies.get(instance ?? '') ?? 0;
  return {
    service: service.name,
    load,
    mode,
    summary,
    cpu: {
      capacityPerS: around((c) => c.perS),
      closed: { serviceMsPerS: around((c) => c.serviceMsPerS), clientMsPerS: around((c) => c.clientMsPerS) },
      open: { clientMsPerS, offeredPerS, refusedPerS: sumOf(summary.refused) / (durationMs / 1000) },
      refusalMs: median(service.refusalsMs),
    },
    alone: { before: Math.max(...alone.before.map(accuracy)), after: accuracy(alone.after) },
  };
}

/** What is known of a run that may not be what it should. */
function doubts({ summary, mostInFlight, priority, foreignCpus: foreign }: Measured): string[] {
  return [
    ...(summary.lagMs.p99 > MOST_LAG_MS ? [`the client lagged by ${summary.lagMs.p99} ms (p99)`] : []),
    ...(mostInFlight >= CLIENT_CONNECTIONS ? ['requests waited for a connection of the client'] : []),
    ...(priority === 'normal' ? ['the client had no real-time priority'] : []),
    ...(foreign !== undefined && foreign > 0.1 ? [`other processes took ${foreign.toFixed(2)} CPUs`] : []),
  ];
}

function resultOf(services: readonly Service[], measured: readonly Measured[], found: readonly Finding[]) {
  const { model } = measured[0] as Measured;
  return {
    bench: 'overload',
    ...circumstances(),
    model: model.name,
    modelVersion: model.version,
    device: model.device,
    pictures: kind,
    latencyMs,
    loads,
    seconds: durationMs / 1000,
    runs: rounds,
    seed,
    connectionsClosed: CONNECTIONS,
    goal: {
      formula: 'A(R) = C (S + Pc - P - R q) / S; demanded from load 2: 0.8 max(A(refused), A where R = offered - A)',
      C: 'cpu.capacityPerS: answers a second in the closed loop, cheapest instance',
      S: 'cpu.closed.serviceMsPerS: CPU ms a second of the service and its decoding processes in the closed loop',
      Pc: 'cpu.closed.clientMsPerS: the same of the client',
      P: 'cpu.open.clientMsPerS: of the client under overload',
      q: 'cpu.refusalMs: CPU ms of the service for a refusal, where all is refused',
    },
    services: services.map(({ name, commit, capacities, refusalsMs }) => ({
      name,
      commit,
      capacityPerS: spreadOf(capacities.map((c) => c.perS)),
      capacities,
      refusalMs: spreadOf(refusalsMs),
    })),
    findings: found,
    measurements: measured.map((m) => {
      const { service: _, model: _model, ...rest } = m;
      const run = judgedRun(m);
      return { ...run, corrected: correctedCapacity(run.cpu), ...rest, accuracy: run.alone, doubts: doubts(m) };
    }),
  };
}

/** All services under one condition after another, in an order that is drawn anew for each round. */
async function play(services: readonly Service[], round: number, each: (run: Once) => Promise<void>): Promise<void> {
  const conditions = loads.flatMap((load) => modes.map((mode) => ({ load, mode })));
  for (const { load, mode } of shuffled(conditions, seeded(seedFor(seed, `order ${round}`)))) {
    for (const service of round % 2 ? services.toReversed() : services) await each({ service, round, load, mode });
  }
}

function report(found: readonly Finding[], measured: readonly Measured[]): void {
  console.table(tableOf(measured.map(judgedRun)));
  for (const doubt of new Set(measured.flatMap(doubts))) console.log(`doubt: ${doubt}`);
  for (const line of found) console.log(lineOf(line));
}

async function main(): Promise<void> {
  const services = [ROOT, ...options.service].map(serviceAt);
  const bodies = await pictures(kind, options.data, seed);
  const bar = progress('overload', services.length * rounds * (loads.length * modes.length + 1));
  const measured: Measured[] = [];
  const capacities = async () => {
    for (const service of services) await withService(service, bodies, (target) => capacityNow(target, service));
  };
  await capacities(); // before the first run, as before every other one
  for (let round = 0; round < rounds; round++) {
    for (const service of services) {
      await withService(service, bodies, (target) => measureRefusals(target, service));
      bar.step();
    }
    await play(services, round, async (run) => {
      measured.push(await once(run, bodies));
      bar.step();
      writeResult(options.out, resultOf(services, measured, findings(measured.map(judgedRun)))); // not to be lost
    });
  }
  await capacities();
  bar.stop();
  const found = findings(measured.map(judgedRun));
  report(found, measured);
  writeResult(options.out, resultOf(services, measured, found));
  // Another checkout is there to be compared with.
  process.exitCode = found.every((f) => f.holds || f.service !== services[0]?.name) ? 0 : 1;
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
