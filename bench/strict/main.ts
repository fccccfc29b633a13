/**
 * Checks that strict requests lose nothing: the same trace is played with strict requests, with strict=?0, and with the
 * cheapest instance pinned, which is the fastest that any policy can be.
 *
 * npm run build && npm run bench:strict -- --data data/cifar10 --out bench/results/strict-cifar10.json
 *
 * The traces are the two of bench/virtual on which admission has to refuse: poisson 0.8, and gamma with CV² 8 at load
 * 0.7. Before each round of a trace, load 1 is measured again as in bench/load. Then the three variants play the same
 * arrivals one after another, each on a new service after a warm-up, in another order in each round. Exit status 1 if
 * the median share in time of strict requests is more than 0.3 points below that of strict=?0, or more than 0.5 points
 * below that of the cheapest instance.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Summary, summarise } from '../../src/load/summary.js';
import { busyNow, foreignCpus } from '../load/foreign.js';
import { generate } from '../load/generate.js';
import type { GeneratorEvent } from '../load/job.js';
import { type Material, measureYardsticks, requests, WARM_UP, type Yardsticks } from '../load/setup.js';
import { isVoid } from '../load/verdict.js';
import { FAMILY_OPTIONS, familyOptions, positive } from '../options.js';
import { startService, stop } from '../service.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { makeTraces, type Trace } from '../virtual/traces.js';
import { findings, PARTICIPANTS, type Participant, type Run } from './verdict.js';

const TRACES = 'poisson 0.8,gamma cv2=8 0.7';

const { values: options } = parseArgs({
  options: {
    ...FAMILY_OPTIONS,
    seconds: { type: 'string', default: '20' },
    'capacity-seconds': { type: 'string', default: '8' },
    runs: { type: 'string', default: '7' },
    traces: { type: 'string', default: TRACES },
    latency: { type: 'string' },
  },
});
const family = familyOptions(options);
const durationMs = 1000 * positive.parse(options.seconds);
const capacityS = positive.parse(options['capacity-seconds']);
const rounds = positive.int().parse(options.runs);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-strict-'));
const environment = family.environment(join(folder, 'cache'));

interface Setting {
  readonly material: Material;
  readonly yardsticks: Yardsticks;
}

interface Measured extends Run {
  readonly summary: Summary;
  readonly capacityPerS: number;
  readonly foreignCpus: number | undefined;
  /** The generator lagged, or other processes used the CPUs. */
  readonly doubtful: boolean;
}

async function prepare(): Promise<Setting> {
  const { child, url } = await startService(environment);
  try {
    const material = await family.material(url);
    return { material, yardsticks: await measureYardsticks(url, material, capacityS) };
  } finally {
    await stop(child);
  }
}

interface Play {
  readonly trace: Trace;
  readonly participant: Participant;
  readonly round: number;
  readonly latencyMs: number;
}

async function once({ trace, participant, round, latencyMs }: Play, setting: Setting): Promise<Measured> {
  const { material, yardsticks } = setting;
  const { child, url } = await startService(environment);
  try {
    const instance = participant === 'cheapest' ? yardsticks.cheapest : undefined;
    const asked = requests(material, { instance, latencyMs, strict: participant === 'strict' });
    const busy: ReturnType<typeof busyNow>[] = [];
    const on = (event: GeneratorEvent) => {
      if (event !== 'counting') busy.push(busyNow(child.pid as number));
    };
    const job = { url, ...asked, closed: WARM_UP, arrivalsMs: trace.arrivalsMs };
    const { records, cpuShare } = await generate(job, on);
    const summary = summarise(records, material.profile, latencyMs);
    const foreign = foreignCpus(busy[0], busy[1], cpuShare);
    return {
      trace: trace.name,
      participant,
      round,
      attainment: summary.attainment,
      capacityPerS: yardsticks.capacityPerS,
      foreignCpus: foreign,
      doubtful: isVoid({ summary, foreignCpus: foreign }),
      summary,
    };
  } finally {
    await stop(child);
  }
}

/** The participants, with another one first in each round. */
const inTurn = (round: number): Participant[] =>
  PARTICIPANTS.map((_, n) => PARTICIPANTS[(n + round) % PARTICIPANTS.length] as Participant);

function traceNamed(name: string, { capacityPerS }: Yardsticks, round: number): Trace {
  const all = makeTraces({ capacityPerMs: capacityPerS / 1000, durationMs, seed: family.seed + round });
  const names = all.map((t) => t.name).join(', ');
  return all.find((t) => t.name === name) ?? fail(`no trace ${name}; there is ${names}`);
}

function write({ material, yardsticks }: Setting, latencyMs: number, runs: readonly Measured[]): void {
  const { model, pictures } = material;
  writeResult(options.out, {
    bench: 'strict',
    ...circumstances(),
    model: model.name,
    modelVersion: model.version,
    device: model.device,
    seconds: durationMs / 1000,
    rounds,
    seed: family.seed,
    pictures: pictures.length,
    latencyMs,
    cheapest: yardsticks.cheapest,
    findings: findings(runs),
    runs,
  });
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

function report(runs: readonly Measured[]): void {
  console.table(
    runs.map(({ trace, participant, round, attainment, capacityPerS, summary, doubtful }) => ({
      trace,
      round,
      participant,
      'load 1 /s': Number(capacityPerS.toFixed(1)),
      'in time %': Number((100 * attainment).toFixed(2)),
      'U profiled %': Number((100 * summary.uProfiled).toFixed(2)),
      'p99 ms': summary.serverMs.p99,
      doubtful,
    })),
  );
  for (const { trace, against, holds, strict, other, margin, differences } of findings(runs)) {
    const pairs = `pairs: median ${percent(differences.median)}, sd ${percent(differences.sd)}, n = ${differences.n}`;
    const figures = `${percent(strict)} against ${percent(other)}`;
    console.log(
      `${holds ? 'holds ' : 'FAILS '} ${trace}: strict >= ${against} - ${percent(margin)}: ${figures} (${pairs})`,
    );
  }
}

async function main(): Promise<void> {
  const names = options.traces.split(',');
  const first = await prepare();
  for (const name of names) traceNamed(name, first.yardsticks, 0); // a name that does not exist ends this at once
  const latencyMs = options.latency === undefined ? first.yardsticks.deadlineMs : positive.parse(options.latency);
  if (!Number.isFinite(latencyMs)) fail('nothing was answered while load 1 was measured: give --capacity-seconds more');
  console.log(`deadline ${latencyMs} ms, load 1 about ${first.yardsticks.capacityPerS.toFixed(0)} pictures a second`);
  const bar = progress('strict', rounds * names.length * PARTICIPANTS.length);
  const runs: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const setting = await prepare();
      const trace = traceNamed(name, setting.yardsticks, round);
      for (const participant of inTurn(round)) {
        runs.push(await once({ trace, participant, round, latencyMs }, setting));
        bar.step();
      }
      write(first, latencyMs, runs); // so that an interruption does not lose an hour of runs
    }
  }
  bar.stop();
  report(runs);
  process.exitCode = findings(runs).every((f) => f.holds) ? 0 : 1;
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
