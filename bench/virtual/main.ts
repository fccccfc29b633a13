/**
 * The traces of bench/load on a simulated host: as bench/simulate, but networks share the CPUs with HTTP, decoding and
 * the client, so that load 1 is what the service answers end to end. Where constants of the policy are tried.
 *
 *   npm run bench:host -- --out bench/results/host-cifar10.json
 *   npm run bench:host -- --traces gamma --contenders fixed:p01-r500 --seconds 10 --seeds 2
 *
 * Against every fixed instance and the rivals that choose an instance for each batch, all with the service's admission,
 * as in bench/load. Rivals with a way of their own to batch, and the trace with a dying thread, are left out. Exit status
 * 1 if any is more than 0.2 points above ours.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Next } from '../../src/plan/next.js';
import { MAX_BATCH } from '../../src/plan/snapshot.js';
import { lostTo } from '../simulate/compare.js';
import { type Spread, spread } from '../simulate/summary.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { type Answer, type Host, serve, servedFrom } from './service.js';
import { cheapestOf, deadlineOf, dearestOf, medianOf, readTable } from './table.js';
import { makeTraces, type Trace } from './traces.js';

const { values: options } = parseArgs({
  options: {
    table: { type: 'string', default: fileURLToPath(new URL('../simulate/tables/cifar10.json', import.meta.url)) },
    cpus: { type: 'string', default: '2' },
    // Assumed, not measured: with them load 1 is about what bench/load finds for pictures of 32 x 32.
    client: { type: 'string', default: '0.2' },
    http: { type: 'string', default: '0.5' },
    decode: { type: 'string', default: '0.8' },
    seconds: { type: 'string', default: '20' },
    seeds: { type: 'string', default: '5' },
    traces: { type: 'string', default: '' },
    contenders: { type: 'string' },
    out: { type: 'string' },
  },
});

interface Participant {
  readonly name: string;
  readonly instance?: string;
  /** A fresh one for each run: it may learn. */
  readonly policy?: () => SchedulerOptions['policy'];
}

interface Figures {
  readonly attainment: number;
  readonly utility: number;
  readonly late: number;
}

const number = (text: string) => z.coerce.number().nonnegative().parse(text);
const table = readTable(options.table);
const instances = servedFrom(table);
const [full, cheapest] = [dearestOf(instances), cheapestOf(instances, medianOf(table))];
const host: Host = {
  table,
  instances,
  cpus: number(options.cpus),
  besides: { client: number(options.client), http: number(options.http), decode: number(options.decode) },
};
const { client, http, decode } = host.besides;
/** Load 1: the CPUs are never idle, and all batches are full. */
const runMs = medianOf(table)(cheapest, MAX_BATCH);
const capacityPerMs = host.cpus / (client + http + decode + runMs / MAX_BATCH);
const deadlineMs = deadlineOf(medianOf(table)(full, 1), capacityPerMs);
const durationMs = 1000 * number(options.seconds);
const seeds = Array.from({ length: number(options.seeds) }, (_, n) => n + 1);

const others: Participant[] = [
  ...instances.map(({ id }) => ({ name: `fixed:${id}`, instance: id })),
  ...CHOOSERS.map((c) => ({ name: c.name, policy: () => c.create(instances).policy })),
];
const wanted = options.contenders?.split(',');
const unknown = wanted?.filter((name) => !others.some((p) => p.name === name)) ?? [];
if (unknown.length) fail(`no contender ${unknown.join(', ')}; there is ${others.map((p) => p.name).join(', ')}`);
const participants = [{ name: 'dimmer' }, ...others.filter((p) => wanted?.includes(p.name) ?? true)];

const traces = seeds.map((seed) =>
  makeTraces({ capacityPerMs, durationMs, seed }).filter(
    (trace) => trace.killThreadAtMs === undefined && trace.name.includes(options.traces),
  ),
);
const names = (traces[0] as Trace[]).map((trace) => trace.name);
if (names.length === 0) fail(`no trace has '${options.traces}' in its name`);

console.log(
  `load 1 is ${(1000 * capacityPerMs).toFixed(0)} pictures a second; the deadline is ${deadlineMs.toFixed(1)} ms`,
);
const bar = progress('simulating', names.length * participants.length);
const results: { trace: string; bursty: boolean; rows: { name: string; figures: Record<keyof Figures, Spread> }[] }[] =
  [];
for (const [n, trace] of names.entries()) {
  const rows = [];
  for (const participant of participants) {
    const runs: Figures[] = [];
    for (const [place, seed] of seeds.entries()) runs.push(await play(traces[place]?.[n] as Trace, participant, seed));
    const over = (figure: keyof Figures) => spread(runs.map((r) => r[figure]));
    const figures = { attainment: over('attainment'), utility: over('utility'), late: over('late') };
    rows.push({ name: participant.name, figures });
    bar.step();
  }
  results.push({ trace, bursty: traces[0]?.[n]?.bursty ?? false, rows });
}
bar.stop();

const percent = ({ mean, sd }: Spread) => `${(100 * mean).toFixed(2)} ± ${(100 * sd).toFixed(2)}`;
for (const { trace, rows } of results) {
  console.log(`\n${trace}`);
  console.table(
    Object.fromEntries(
      rows.map(({ name, figures: { utility, attainment, late } }) => [
        name,
        { 'U, %': percent(utility), 'in time, %': percent(attainment), 'late, %': percent(late) },
      ]),
    ),
  );
}
const lost = lostTo(results);
for (const { trace, rival, by } of lost)
  console.log(`LOST on ${trace}: ${rival} is ${(100 * by).toFixed(2)} points above`);
writeResult(options.out, {
  bench: 'host',
  ...circumstances(),
  family: { name: table.family, version: table.version },
  measuredOn: table.host,
  setting: {
    cpus: host.cpus,
    besidesMs: host.besides,
    capacityPerMs,
    deadlineMs,
    durationMs,
    seeds,
  },
  results,
  lost,
});
process.exitCode = lost.length ? 1 : 0;

async function play(trace: Trace, { instance, policy }: Participant, seed: number): Promise<Figures> {
  const { arrivalsMs } = trace;
  const answers = await serve(host, { arrivalsMs, latencyMs: deadlineMs, seed, instance, policy: policy?.() });
  const inTime = answers.filter((a) => a.inTime);
  const accuracy = (a: Answer) => a.instance?.accuracy ?? 0;
  return {
    attainment: inTime.length / answers.length,
    utility: inTime.reduce((sum, a) => sum + accuracy(a), 0) / answers.length,
    late: answers.filter((a) => a.instance && !a.inTime).length / answers.length,
  };
}
