/**
 * Overload test: for a while the built service gets more requests than it can answer, then none.
 *
 * npm run bench:overload -- --pictures cifar --data data/cifar10/test --out bench/results/overload-cifar10.json npm run
 * bench:overload -- --pictures 224 --data data/photos --out bench/results/overload-imagenet1k-224.json npm run
 * bench:overload -- --pictures 12mp --out bench/results/overload-imagenet1k-12mp.json
 *
 * Each run starts a new service and has four steps:
 * 1. Three single requests show which instance an idle host selects.
 * 2. A closed loop on the cheapest instance, pinned, measures the capacity of the host.
 * 3. An open loop with Poisson arrivals offers `load` times the capacity.
 * 4. Two seconds after the last answer, one more single request is sent.
 *
 * The speed of a shared host changes by a fifth within minutes. So a run is judged by the median of three capacities:
 * that of the run before, its own, and that of the run after. The order of loads is drawn anew in each round. Several
 * services (`--service FOLDER`, each another built checkout) take turns within a round.
 *
 * The medians over rounds have to meet these goals; exit status 1 if one does not:
 * - Goodput (answers in time a second) >= 0.9 of the capacity; from load 2 on >= 0.8 of the corrected capacity, which
 *   takes into account the CPU time of refusals and of the client (formula in goal.ts). In time means `totalMs` <=
 *   latency, by the service's clock; figures by the client's clock are reported, too. Answers after the last arrival do
 *   not count, because working off a backlog is no steady rate. The CPU time of a refusal is measured with a latency
 *   that no instance can meet, so without a full queue; with one, a refusal takes more CPU. So the goal is rather too
 *   strict.
 * - Requests admitted and expired (504) <= 1 % of arrivals.
 * - Refusals: p99 of the time from the start of the request, at the client, to the head of the answer <= 20 ms.
 *   Requests with strict=?0 that were refused after they had waited MAX_WAIT_MS are counted separately.
 * - Every request gets an answer, and none with status 500.
 * - The single request after the overload gets an instance as accurate as before it.
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

/** Latency in the budgets by kind of pictures, in ms. */
const LATENCY_MS: Readonly<Record<PictureKind, number>> = { cifar: 100, '224': 300, '12mp': 1500 };
/** Time from the end of an overload to the single request. */
const REST_MS = 2000;
const IDLE_REQUESTS = 3;
/** A latency that no instance can meet. */
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
  /** All measurements of the capacity, the oldest first. */
  readonly capacities: Capacity[];
  /** CPU ms for one refusal, one value for each round. */
  readonly refusalsMs: number[];
}

interface Once {
  readonly service: Service;
  readonly round: number;
  readonly load: number;
  readonly mode: Mode;
}

interface Measured extends Once {
  /** Index of this run's own capacity in `service.capacities`. */
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
  } catch {} // a build without git history
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

/** Present capacity: the median of the last three measurements, as one of them may have been disturbed. */
const recentPerS = ({ capacities }: Service): number => median(capacities.slice(-3).map((c) => c.perS));

/**
 * Measures the CPU time of a refusal, at the rate of refusals that the highest load needs. Every request is refused.
 */
async function measureRefusals(target: Target, service: Service): Promise<void> {
  const perS = Math.max(1, Math.max(...loads) - 1) * recentPerS(service);
  const arrivalsMs = poisson(perS / 1000, 1000 * capacityS, seeded(seedFor(seed, 'refusals')));
  const refuse = () => offer(target, arrivalsMs, latencyBudget(IMPOSSIBLE_MS, true));
  await refuse(); // warms up the JIT compiler: too large a cost of refusals would make the goal too easy
  const { outcome, serviceMs } = await refuse();
  const others = outcome.records.filter((r) => r.status !== 422 && r.status !== 503);
  if (others.length > 0) fail(`latency=${IMPOSSIBLE_MS} was not refused: ${others[0]?.status} ${others[0]?.reason}`);
  service.refusalsMs.push(serviceMs / arrivalsMs.length);
}

/**
 * Offers the arrivals, then sends one single request REST_MS after the last answer. If other requests still wait
 * REST_MS after the last arrival, another single request is sent at that time (`whileAnswering`).
 */
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
    // The same trace for each mode and service, scaled to the capacity of each.
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
    // Without the CPU time of the client, which is measured separately.
    const others = foreign === undefined ? undefined : Math.max(0, foreign - outcome.cpuShare);
    return { ...facts, summary, ...cpu, foreignCpus: others, alone: { before, ...alone } };
  });
}

/** Adds the capacity by which the run is judged. It changes until the capacity of the next run is measured. */
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

/** Reasons to doubt a run, as messages. */
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

/** One round: each combination of load and mode, in random order, on each service in turn. */
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
  await capacities(); // the first run, too, needs a capacity measured before it
  for (let round = 0; round < rounds; round++) {
    for (const service of services) {
      await withService(service, bodies, (target) => measureRefusals(target, service));
      bar.step();
    }
    await play(services, round, async (run) => {
      measured.push(await once(run, bodies));
      bar.step();
      // Written after each run, so that an interruption does not lose the earlier ones.
      writeResult(options.out, resultOf(services, measured, findings(measured.map(judgedRun))));
    });
  }
  await capacities();
  bar.stop();
  const found = findings(measured.map(judgedRun));
  report(found, measured);
  writeResult(options.out, resultOf(services, measured, found));
  // Only this checkout is judged; the others are there for comparison.
  process.exitCode = found.every((f) => f.holds || f.service !== services[0]?.name) ? 0 : 1;
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
