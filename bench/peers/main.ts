/**
 * dimmer beside BentoML and LitServe, which serve the full instance of the same family: the same ONNX graph and weights, the
 * same pictures, one client for all.
 *
 *   npm run build && npm run bench:peers -- --data data/cifar10 --out bench/results/peers.json
 *
 * The peers run from a virtual environment (`--python`) with bench/peers/requirements.txt; the bench says how to make it. Each
 * server can have all CPUs. Each is first tried with a few settings, on two short traces, and keeps the one with the largest
 * share right and in time; what was tried is in the result. 100 % is what BentoML then answers in an open loop that offers
 * what it reaches in a closed one.
 *
 * In each round every server has its turn, in drawn order: it is started, warmed by a closed loop, and plays all traces, in
 * drawn order too. The arrivals and pictures of a round are the same for all. A run in which the client lagged or the
 * host did other things as well is repeated once, and left out if that does not help. Memory is the proportional set size of
 * all processes of a server after its last trace; a start lasts until the first picture is answered.
 *
 * Exit status 1 if dimmer's median share right and in time is below that of a peer by more than 1 point on any trace.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loadFamily } from '../../src/family/load.js';
import { seeded, seedFor } from '../../src/load/random.js';
import { readReference } from '../accuracy/read.js';
import { busyNow, foreignCpus, MOST_FOREIGN_CPUS } from '../load/foreign.js';
import { generate } from '../load/generate.js';
import type { GeneratorEvent, Job, Picture } from '../load/job.js';
import { capacityOf, shuffled } from '../load/setup.js';
import { FAMILY_OPTIONS, positive } from '../options.js';
import { spreadOf } from '../overload/verdict.js';
import { pssMib } from '../soak/memory.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { end, type Running, start, versionsOf } from './process.js';
import { DEADLINE_MS, requestsTo, type Server, type Setting, serversFor } from './servers.js';
import { bestOf, figuresOf, findings, type Run, summarise } from './summary.js';
import { arrivalsOf, type Kind, kindsFor } from './traces.js';

/** As many as keep full batches of every server going, as long as it takes Python and V8 to be warm. */
const WARM_UP = { connections: 16, ms: 3000 };
const NO_LOOP = { connections: 0, ms: 0 };
/** So long between traces that one has no trace of the other. */
const REST_MS = 500;
/** A setting is tried at these shares of what the first one of the reference answers: enough to do, and too much. */
const TRIED_AT = [1, 2];

const { values: options } = parseArgs({
  options: {
    ...FAMILY_OPTIONS,
    python: { type: 'string', default: '.venv-peers/bin/python' },
    seconds: { type: 'string', default: '8' },
    'try-seconds': { type: 'string', default: '3' },
    'capacity-seconds': { type: 'string', default: '5' },
    runs: { type: 'string', default: '3' },
  },
});
const data = options.data ?? fail('give --data, an image folder: <data>/test/<class>/<pictures>');
const versions = versionsOf(options.python);
const durationMs = 1000 * positive.parse(options.seconds);
const tryMs = 1000 * positive.parse(options['try-seconds']);
const capacityS = positive.parse(options['capacity-seconds']);
const rounds = positive.int().parse(options.runs);
const seed = positive.int().parse(options.seed);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-peers-'));
const family = await loadFamily(join(options.models, options.family));
const full = family.instances.find((i) => i.share === 1) ?? fail('the family has no full instance');
const servers = serversFor(os.availableParallelism(), full.id);
const [OURS, REFERENCE] = [servers[0], servers.find((s) => s.peer !== undefined)] as [Server, Server];
const at = { python: options.python, models: options.models, family: options.family, folder };

/** Every labelled picture, in an order of its own for each round. */
function picturesOf(round: number): Picture[] {
  const { files, labels } = readReference(options.reference ?? `bench/reference/${family.name}.json`, family.version);
  const all = files.map((file, place) => ({ file: join(data, file), label: labels[place] as number }));
  return shuffled(all, seeded(seedFor(seed, `pictures ${round}`)));
}

type Requests = ReturnType<typeof requestsTo>;

/** Of each server's program the first start here, which found nothing kept by an earlier one. */
const firstStartsMs = new Map<string | undefined, number>();

interface Turn {
  readonly running: Running;
  readonly requests: Requests;
}

/** A server with a setting from its start to its end, warm. */
async function turn<T>(
  server: Server,
  setting: Setting,
  pictures: readonly Picture[],
  use: (turn: Turn) => Promise<T>,
) {
  const requests = requestsTo(server, setting, { model: family.name, pictures });
  const running = await start(server, setting, at, requests);
  if (!firstStartsMs.has(server.peer)) firstStartsMs.set(server.peer, running.startMs);
  try {
    await generate({ url: running.url, ...requests, closed: WARM_UP, arrivalsMs: [] });
    return await use({ running, requests });
  } finally {
    await end(running.child);
  }
}

async function play({ running: { url, child }, requests }: Turn, arrivalsMs: readonly number[]) {
  await sleep(REST_MS);
  const busy: ReturnType<typeof busyNow>[] = [];
  const on = (event: GeneratorEvent) => {
    if (event !== 'counting') busy.push(busyNow(child.pid as number));
  };
  const job: Omit<Job, 'out'> = { url, ...requests, closed: NO_LOOP, arrivalsMs };
  const { records, cpuShare, priority } = await generate(job, on);
  const figures = figuresOf(records);
  const foreign = foreignCpus(busy[0], busy[1], cpuShare);
  const doubtful = figures.lagged || (foreign ?? 0) > MOST_FOREIGN_CPUS;
  return { figures, foreignCpus: foreign, clientCpus: cpuShare, priority, doubtful };
}

interface Tried {
  readonly setting: Setting;
  /** Mean over what it was tried on. */
  readonly rightInTime: number;
}

async function tryOut(server: Server, setting: Setting, kinds: readonly Kind[]): Promise<Tried> {
  return turn(server, setting, picturesOf(0), async (it) => {
    const shares: number[] = [];
    for (const kind of kinds) {
      const { figures } = await play(it, arrivalsOf(kind, tryMs, seed));
      shares.push(figures.rightInTime);
    }
    return { setting, rightInTime: shares.reduce((a, b) => a + b, 0) / shares.length };
  });
}

const capacityWith = (setting: Setting) =>
  turn(REFERENCE, setting, picturesOf(0), ({ running, requests }) =>
    capacityOf({ url: running.url, ...requests }, capacityS),
  );

/** What each server was tried with, in drawn order over all. */
async function tryAll(step: () => void): Promise<Map<string, Tried[]>> {
  const { capacityPerS } = await capacityWith(REFERENCE.settings[0] as Setting);
  const kinds = TRIED_AT.map((share): Kind => ({ name: `try ${share}`, perS: share * capacityPerS, bursty: false }));
  const all = servers.flatMap((server) => server.settings.map((setting) => ({ server, setting })));
  const tried = new Map<string, Tried[]>(servers.map(({ name }) => [name, []]));
  for (const { server, setting } of shuffled(all, seeded(seedFor(seed, 'settings')))) {
    tried.get(server.name)?.push(await tryOut(server, setting, kinds));
    step();
  }
  return tried;
}

interface Measured extends Run {
  readonly perS: number;
  readonly foreignCpus: number | undefined;
  readonly clientCpus: number;
  readonly priority: string;
}

interface Start {
  readonly server: string;
  readonly startMs: number;
  readonly pssMib: number;
}

interface Collected {
  readonly tried: Map<string, Tried[]>;
  readonly capacity: Awaited<ReturnType<typeof capacityOf>>;
  readonly kinds: readonly Kind[];
  readonly runs: Measured[];
  readonly starts: Start[];
}

const keptOf = ({ tried }: Pick<Collected, 'tried'>, { name }: Server): Setting =>
  bestOf(tried.get(name) as [Tried, ...Tried[]]).setting;

/** A doubtful run is played once more; both are noted. */
async function playTrace(it: Turn, server: Server, kind: Kind, round: number): Promise<Measured[]> {
  const arrivalsMs = arrivalsOf(kind, durationMs, seed + round);
  const facts = { server: server.name, trace: kind.name, round, perS: kind.perS };
  const once = async (): Promise<Measured> => ({ ...facts, ...(await play(it, arrivalsMs)) });
  const first = await once();
  return first.doubtful ? [first, await once()] : [first];
}

async function playRound(round: number, collected: Collected, step: () => void): Promise<void> {
  const { kinds, runs, starts } = collected;
  const random = seeded(seedFor(seed, `order ${round}`));
  const pictures = picturesOf(round);
  for (const server of shuffled(servers, random)) {
    await turn(server, keptOf(collected, server), pictures, async (it) => {
      for (const kind of shuffled(kinds, random)) {
        runs.push(...(await playTrace(it, server, kind, round)));
        step();
      }
      const { child, startMs } = it.running;
      starts.push({ server: server.name, startMs, pssMib: await pssMib(child.pid as number) });
    });
  }
}

function resultOf({ tried, capacity, kinds, runs, starts }: Collected) {
  const [traces, peers] = [kinds.map((k) => k.name), servers.filter((s) => s.peer).map((s) => s.name)];
  return {
    bench: 'peers',
    ...circumstances(),
    versions,
    model: family.name,
    modelVersion: family.version,
    deadlineMs: DEADLINE_MS,
    seconds: durationMs / 1000,
    rounds,
    seed,
    reference: REFERENCE.name,
    ...capacity,
    traces: kinds,
    servers: servers.map((server) => {
      const own = starts.filter((s) => s.server === server.name);
      const kept = keptOf({ tried }, server);
      return {
        name: server.name,
        command: server.command,
        settings: kept.name,
        tried: (tried.get(server.name) ?? []).map(({ setting, rightInTime }) => ({
          settings: setting.name,
          rightInTime,
          kept: setting === kept,
        })),
        firstStartMs: firstStartsMs.get(server.peer),
        startMs: spreadOf(own.map((s) => s.startMs)),
        pssMib: spreadOf(own.map((s) => s.pssMib)),
        traces: traces.map((trace) => summarise(runs, server.name, trace)),
      };
    }),
    doubtful: runs.filter((r) => r.doubtful).length,
    findings: findings(runs, OURS.name, peers, traces),
    runs,
    starts,
  };
}

function report(result: ReturnType<typeof resultOf>): void {
  const percent = (share: number) => (100 * share).toFixed(2);
  console.table(
    result.servers.flatMap(({ name, traces }) =>
      traces.map(({ trace, rightInTime, inTime, accuracy, p50Ms, p99Ms }) => ({
        trace,
        name,
        n: rightInTime.n,
        'right and in time %': percent(rightInTime.median),
        least: percent(rightInTime.least),
        most: percent(rightInTime.most),
        'in time %': percent(inTime.median),
        'accuracy %': percent(accuracy.median),
        'p50 ms': p50Ms.median.toFixed(1),
        'p99 ms': p99Ms.median.toFixed(1),
      })),
    ),
  );
  console.table(
    result.servers.map(({ name, settings, startMs, pssMib: pss }) => ({
      name,
      settings,
      'start s': (startMs.median / 1000).toFixed(1),
      'PSS MiB': pss.median.toFixed(0),
    })),
  );
  for (const { holds, trace, peer, ours, theirs, margin } of result.findings) {
    const figures = `${percent(ours)} against ${percent(theirs)}`;
    console.log(`${holds ? 'holds ' : 'FAILS '} ${trace}: at least ${peer} - ${percent(margin)}: ${figures}`);
  }
}

async function main(): Promise<void> {
  const trying = progress('settings', servers.flatMap((s) => s.settings).length);
  const tried = await tryAll(trying.step);
  trying.stop();
  const capacity = await capacityWith(keptOf({ tried }, REFERENCE));
  const kinds = kindsFor(capacity.capacityPerS);
  console.log(`100 % is ${capacity.capacityPerS.toFixed(0)} pictures a second, what ${REFERENCE.name} answers`);
  const collected: Collected = { tried, capacity, kinds, runs: [], starts: [] };
  const bar = progress('peers', rounds * servers.length * kinds.length);
  for (let round = 1; round <= rounds; round++) {
    await playRound(round, collected, bar.step);
    writeResult(options.out, resultOf(collected)); // the rounds so far are not to be lost with the next
  }
  bar.stop();
  const result = resultOf(collected);
  report(result);
  process.exitCode = result.findings.every((f) => f.holds) ? 0 : 1;
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
