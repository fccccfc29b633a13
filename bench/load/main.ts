/**
 * Real load: the traces of bench/virtual against the built service, and against the same service with one instance
 * only or with another choice of runs.
 *
 *   npm run bench:load -- --data data/cifar10 --out bench/results/load-cifar10.json
 *   npm run bench:load -- --data data/cifar10 --service ../before --contenders dimmer --repeats 7 --others 7
 *
 * `--service FOLDER` lets another built checkout take turns with this one, for a comparison of versions.
 *
 * Every run has a fresh service, warmed by a closed loop. What this host can do is measured anew before each trace: a
 * shared one may do a fifth more or less a few minutes later. The generator is another process (generator.ts); a run in
 * which it lags, or in which this host did other things as well, is void and repeated. Half of the test pictures say
 * how accurate each instance is, the other half is sent. Exit status 1 if what the issue asks for does not hold.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { summarise } from '../../src/load/summary.js';
import { FAMILY_OPTIONS, familyOptions, positive } from '../options.js';
import { compile, stop } from '../service.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { makeTraces, type Trace } from '../virtual/traces.js';
import { busyNow, foreignCpus } from './foreign.js';
import { generate } from './generate.js';
import type { GeneratorEvent } from './job.js';
import { readMetrics, total } from './metrics.js';
import {
  checkout,
  fixedInstance,
  interleave,
  OURS,
  others,
  type Participant,
  select,
  startFor,
} from './participants.js';
import { type Material, measureYardsticks, requests, served, WARM_UP, type Yardsticks } from './setup.js';
import { tableOf } from './table.js';
import { type Finding, findings, isVoid, type Run } from './verdict.js';

const CAPACITY_S = 8;
/** So often a void run is repeated. */
const REPETITIONS = 2;

const { values: options } = parseArgs({
  options: {
    ...FAMILY_OPTIONS,
    seconds: { type: 'string', default: '10' },
    repeats: { type: 'string', default: '3' },
    others: { type: 'string', default: '1' },
    traces: { type: 'string' },
    contenders: { type: 'string' },
    service: { type: 'string', multiple: true, default: [] },
  },
});
const family = familyOptions(options);
const { seed } = family;
const durationMs = 1000 * positive.parse(options.seconds);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-load-'));
const environment = family.environment(join(folder, 'cache'));

interface Measured extends Run {
  readonly instance: string | undefined;
  readonly generator: object;
}

interface Setting {
  readonly material: Material;
  readonly yardsticks: Yardsticks;
}

async function prepare(): Promise<Setting> {
  const { child, url } = await startFor(OURS, false, environment);
  try {
    const material = await family.material(url);
    return { material, yardsticks: await measureYardsticks(url, material, CAPACITY_S) };
  } finally {
    await stop(child);
  }
}

/** The same pictures and deadline, and what the host can do now. */
async function renew({ material, yardsticks: { deadlineMs, cheapestRuns } }: Setting): Promise<Setting> {
  const { yardsticks } = await prepare();
  return { material, yardsticks: { ...yardsticks, deadlineMs, cheapestRuns } };
}

async function once(trace: Trace, who: Participant, { material, yardsticks }: Setting): Promise<Measured> {
  const { killThreadAtMs: killMs, name, bursty, arrivalsMs } = trace;
  if (who.root && killMs !== undefined) throw new Error(`${who.name} cannot lose a thread on command, as ${name} asks`);
  const { child, url } = await startFor(who, killMs !== undefined, environment);
  const pid = child.pid as number;
  const busy: ReturnType<typeof busyNow>[] = [];
  const on = (event: GeneratorEvent) => {
    if (event === 'counting') return;
    busy.push(busyNow(pid));
    if (event === 'started' && killMs !== undefined) setTimeout(() => child.kill('SIGUSR2'), killMs);
  };
  try {
    const { instance } = who;
    const { deadlineMs: latencyMs } = yardsticks;
    const job = { url, ...requests(material, { instance, latencyMs }), closed: WARM_UP, arrivalsMs };
    const { records, ...generator } = await generate(job, on);
    const foreign = foreignCpus(busy[0], busy[1], generator.cpuShare);
    const deaths = total(await readMetrics(url), 'dimmer_engine_thread_events_total', { event: 'died' });
    if (deaths !== Number(killMs !== undefined)) throw new Error(`${deaths} engine threads died on ${name}`);
    const summary = summarise(records, material.profile, latencyMs);
    return { trace: name, bursty, participant: who.name, instance, summary, generator, foreignCpus: foreign };
  } finally {
    await stop(child);
  }
}

/** The run, after those that were void; the last may be so as well. */
async function untilValid(trace: Trace, who: Participant, setting: Setting): Promise<Measured[]> {
  const runs = [await once(trace, who, setting)];
  while (isVoid(runs.at(-1) as Measured) && runs.length <= REPETITIONS) runs.push(await once(trace, who, setting));
  return runs;
}

const valid = (runs: readonly Measured[]) => runs.filter((r) => !isVoid(r));

/** The fixed instance with the most U on a trace. */
function bestFixed(runs: readonly Measured[]): string {
  const fixed = valid(runs).filter((r) => fixedInstance(r.participant));
  const best = fixed.toSorted((a, b) => b.summary.uProfiled - a.summary.uProfiled)[0];
  return fixedInstance(best?.participant ?? '') ?? fail('rivals with one instance need --contenders with fixed');
}

/** Everybody on one trace; `step` is called after each. */
async function play(trace: Trace, all: readonly Participant[], setting: Setting, step: () => void) {
  const runs: Measured[] = [];
  for (const one of all) {
    const who = one.onBestFixed ? { ...one, instance: bestFixed(runs) } : one;
    runs.push(...(await untilValid(trace, who, setting)));
    step();
  }
  return runs;
}

const tracesAt = ({ capacityPerS }: Yardsticks): Trace[] =>
  makeTraces({ capacityPerMs: capacityPerS / 1000, durationMs, seed });

/** Names of the traces that are asked for, in their order. */
function tracesWanted({ yardsticks }: Setting): string[] {
  const all = tracesAt(yardsticks).map((t) => t.name);
  const wanted = options.traces?.split(',') ?? all;
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length) fail(`no trace ${unknown.join(', ')}; there is ${all.join(', ')}`);
  return all.filter((name) => wanted.includes(name));
}

function lineUp({ material }: Setting): Participant[] {
  const rivals = [
    ...select(others(served(material.model).map((i) => i.id)), options.contenders?.split(',')),
    ...options.service.map((root) => checkout(resolve(root))),
  ];
  const again = Array.from({ length: positive.int().parse(options.others) }, () => rivals).flat();
  return interleave(OURS, positive.int().parse(options.repeats), again);
}

async function main(): Promise<void> {
  const setting = await prepare();
  const { cheapest, capacityPerS, deadlineMs, cheapestRuns } = setting.yardsticks;
  console.log(`load 1 is ${capacityPerS.toFixed(0)} pictures a second, what ${cheapest} alone answers end to end`);
  console.log(`the deadline is ${deadlineMs} ms: ${cheapestRuns} runs of ${cheapest} one after another`);
  const [traces, all] = [tracesWanted(setting), lineUp(setting)];
  const bar = progress('load', traces.length * all.length);
  const runs: Measured[] = [];
  const capacities: Record<string, number> = {};
  for (const name of traces) {
    const now = await renew(setting);
    capacities[name] = now.yardsticks.capacityPerS;
    const trace = tracesAt(now.yardsticks).find((t) => t.name === name) as Trace;
    runs.push(...(await play(trace, all, now, bar.step)));
    write(setting, capacities, runs); // hours of runs are not to be lost with the last of them
  }
  bar.stop();
  console.table(tableOf(valid(runs)));
  const unsound = runs.length - valid(runs).length;
  if (unsound > 0)
    console.log(`${unsound} of ${runs.length} runs are void: the generator lagged, or the host was busy`);
  const found = judge(setting, runs);
  for (const { what, holds, detail } of found) console.log(`${holds ? 'holds ' : 'FAILS '} ${what}: ${detail}`);
  process.exitCode = found.every((f) => f.holds) ? 0 : 1;
}

function judge({ material: { model, profile } }: Setting, runs: readonly Measured[]): Finding[] {
  const full = model.instances.find((i) => i.share === 1)?.id as string;
  return findings(valid(runs), profile[full] as number);
}

/** capacities: pictures a second that were load 1, by trace. */
function write(setting: Setting, capacities: Record<string, number>, runs: readonly Measured[]): void {
  const { model, profile, pictures } = setting.material;
  writeResult(options.out, {
    bench: 'load',
    ...circumstances(),
    model: model.name,
    modelVersion: model.version,
    device: model.device,
    seconds: durationMs / 1000,
    seed,
    pictures: pictures.length,
    profile,
    ...setting.yardsticks,
    capacities,
    runs,
  });
}

compile();
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
