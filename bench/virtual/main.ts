/**
 * Runs the service's own scheduler in virtual time, on simulated CPUs that networks share with HTTP, decoding and the
 * client. Compares it with other policies. Load 1 is the throughput of the cheapest instance with all of that CPU use.
 *
 * npm run bench:virtual -- --out bench/results/virtual-cifar10.json npm run bench:virtual -- --table imagenet1k
 * --best-effort npm run bench:virtual -- --traces gamma,overload --contenders fixed:p01-r500,infaas --seconds 10
 * --seeds 2
 *
 * The others are: each instance pinned by all requests (`fixed:<id>`), and the policies of bench/policies; those that
 * batch for a single instance get the fixed instance with the largest utility on the trace. All of them have the
 * service's admission. The traces are those of bench/load, without the one in which a thread dies, and Poisson arrivals
 * above capacity. Exit status 1 if the utility of any is more than 0.2 points above that of the service.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Contender } from '../policies/contender.js';
import { BATCHERS, CHOOSERS } from '../policies/rivals.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { type Host, serve, servedFrom } from './service.js';
import { type Figures, lostTo, over, type Spread, summarise } from './summary.js';
import { assumedOf, readTable, tablePath, yardsticks } from './table.js';
import { makeTraces, overload, type Trace } from './traces.js';

const OVERLOADS = [1.2, 1.5, 3];

const { values: options } = parseArgs({
  options: {
    /** Name of a family with a table in bench/virtual/tables, or a file. */
    table: { type: 'string', default: 'cifar10' },
    cpus: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '20' },
    seeds: { type: 'string', default: '5' },
    /** Parts of the names of traces, separated by commas; empty: all traces. */
    traces: { type: 'string', default: '' },
    contenders: { type: 'string' },
    strict: { type: 'boolean', default: false },
    /** Send all requests with strict=?0. */
    'best-effort': { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

interface Participant {
  readonly name: string;
  /** Id of the instance that all requests pin. */
  readonly instance?: string | undefined;
  readonly contender?: Contender;
}

type Row = { readonly name: string; readonly figures: Record<keyof Figures, Spread> };

const number = (text: string) => z.coerce.number().nonnegative().parse(text);
if (options.strict && options['best-effort']) fail('requests carry either --strict (the default) or --best-effort');
const strict = !options['best-effort'];
const table = readTable(options.table.endsWith('.json') ? options.table : tablePath(options.table));
const host: Host = {
  table,
  instances: servedFrom(table),
  cpus: number(options.cpus),
  overhead: assumedOf(table.family),
};
const { capacityPerMs, deadlineMs } = yardsticks(table, host.cpus, host.overhead);
const durationMs = 1000 * number(options.seconds);
const seeds = Array.from({ length: number(options.seeds) }, (_, n) => n + 1);

const OURS: Participant = { name: 'dimmer' };
const fixed: Participant[] = host.instances.map(({ id }) => ({ name: `fixed:${id}`, instance: id }));
const names = [...fixed, ...CHOOSERS, ...BATCHERS.map((make) => make(''))].map(({ name }) => name);
const asked = options.contenders?.split(',');
const unknown = asked?.filter((name) => ![...names, OURS.name, 'fixed'].includes(name)) ?? [];
if (unknown.length) fail(`no contender ${unknown.join(', ')}; there is ${['fixed', ...names].join(', ')}`);
const wanted = ({ name }: { name: string }) =>
  asked === undefined || asked.includes(name) || (name.startsWith('fixed:') && asked.includes('fixed'));
const [someFixed, choosers] = [fixed.filter(wanted), CHOOSERS.filter(wanted)];
const batchers = BATCHERS.filter((make) => wanted(make('')));
if (batchers.length && someFixed.length === 0) fail('rivals with one instance need --contenders with fixed');

const parts = options.traces.split(',');
/** By trace: the arrivals of each seed. */
const traces = transposed(
  seeds.map((seed) => {
    const of = { capacityPerMs, durationMs, seed };
    const all = [...makeTraces(of), ...OVERLOADS.map((load) => overload(load, of))];
    return all.filter((t) => t.killThreadAtMs === undefined && parts.some((part) => t.name.includes(part)));
  }),
);
if (traces.length === 0) fail(`no trace has ${parts.join(' or ')} in its name`);

console.log(
  `load 1 is ${(1000 * capacityPerMs).toFixed(0)} pictures a second; the deadline is ${deadlineMs.toFixed(1)} ms`,
);
const bar = progress('virtual time', traces.length * (1 + someFixed.length + choosers.length + batchers.length));
const results: { trace: string; bursty: boolean; rows: Row[] }[] = [];
for (const runs of traces) results.push(await compareOn(runs));
bar.stop();

const percent = ({ mean, sd }: Spread) => `${(100 * mean).toFixed(2)} ± ${(100 * sd).toFixed(2)}`;
for (const { trace, rows } of results) {
  console.log(`\n${trace}`);
  console.table(
    Object.fromEntries(
      rows.map(({ name, figures: f }) => [
        name,
        {
          'U, %': percent(f.utility),
          'in time, %': percent(f.inTime),
          'late, %': percent(f.late),
          'expired, %': percent(f.expired),
          'refused, %': percent(f.refused),
          'goodput of load 1, %': percent(f.goodput),
        },
      ]),
    ),
  );
}
const lost = lostTo(results);
for (const { trace, rival, by } of lost)
  console.log(`LOST on ${trace}: ${rival} is ${(100 * by).toFixed(2)} points above`);
writeResult(options.out, {
  bench: 'virtual',
  ...circumstances(),
  family: { name: table.family, version: table.version },
  measuredOn: table.host,
  setting: { cpus: host.cpus, besidesMs: host.overhead, capacityPerMs, deadlineMs, durationMs, seeds, strict },
  contenders: [...choosers, ...batchers.map((make) => make(''))].map(({ name, note }) => ({ name, note })),
  results,
  lost,
});
process.exitCode = lost.length ? 1 : 0;

/**
 * Plays one trace, given for each seed, with every participant. The service comes first; policies with a single
 * instance come last, when the best fixed instance is known.
 */
async function compareOn(runs: readonly Trace[]) {
  const [{ name, bursty }] = runs as [Trace];
  const rowOf = (who: Participant) => play(runs, who);
  const rows = [await rowOf(OURS)];
  for (const who of someFixed) rows.push(await rowOf(who));
  const best = rows.slice(1).reduce<Row | undefined>((a, b) => {
    return a && a.figures.utility.mean >= b.figures.utility.mean ? a : b;
  }, undefined);
  const instance = fixed.find((f) => f.name === best?.name)?.instance;
  for (const contender of choosers) rows.push(await rowOf({ name: contender.name, contender }));
  for (const make of batchers) {
    const contender = make(instance as string);
    rows.push(await rowOf({ name: contender.name, contender, instance }));
  }
  return { trace: name, bursty, rows };
}

async function play(runs: readonly Trace[], { name, instance, contender }: Participant): Promise<Row> {
  const figures: Figures[] = [];
  for (const [place, { arrivalsMs }] of runs.entries()) {
    const seed = seeds[place] as number;
    const answers = await serve(host, { arrivalsMs, latencyMs: deadlineMs, strict, seed, instance, contender });
    figures.push(summarise(answers, capacityPerMs * durationMs));
  }
  bar.step();
  return { name, figures: over(figures) };
}

function transposed<T>(rows: readonly (readonly T[])[]): T[][] {
  return (rows[0] ?? []).map((_, n) => rows.map((row) => row[n] as T));
}
