/**
 * Simulates the service and its rivals on a measured latency table.
 *
 *   npm run bench:simulate -- --seconds 10 --out bench/results/simulate.json
 *   npm run bench:simulate -- --table bench/simulate/tables/other.json --traces gamma --seconds 2
 *   npm run bench:simulate -- --oracle
 *
 * --oracle also compares with the offline optimum on short traces and one thread (a quarter of an hour). Exit status 1 if the
 * utility of any contender is more than 0.2 points above ours on any trace.
 */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { fixed } from '../policies/one-instance.js';
import { BATCHERS, CHOOSERS, DIMMER } from '../policies/rivals.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { compareOn, contendersOn, lostTo, notClear, type Setting, scenesOf } from './compare.js';
import { headline } from './headline.js';
import { printHeadlines, printShort, printTrace } from './print.js';
import { compareWithOracle, LENGTHS, overallShare, plannersShare, type ShortResult, shortTraces } from './short.js';
import { cheapestOf, dearestOf, instancesOf, medianOf, readTable, yardsticks } from './table.js';
import { exactWorld } from './world.js';

const { values: options } = parseArgs({
  options: {
    table: { type: 'string', default: fileURLToPath(new URL('tables/cifar10.json', import.meta.url)) },
    threads: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    seeds: { type: 'string', default: '3' },
    traces: { type: 'string', default: '' },
    oracle: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const count = z.coerce.number().int().positive();
const table = readTable(options.table);
const threads = count.parse(options.threads ?? table.threads);
const instances = instancesOf(table);
const marks = yardsticks(instances, threads, medianOf(table));
const setting: Setting = {
  ...marks,
  threads,
  durationMs: 1000 * z.coerce.number().positive().parse(options.seconds),
  seeds: Array.from({ length: count.parse(options.seeds) }, (_, n) => n + 1),
};
const scenes = scenesOf(table, setting).filter(([scene]) => scene?.trace.name.includes(options.traces));
if (scenes.length === 0) fail(`no trace has '${options.traces}' in its name`);

console.log(
  `${table.family} ${table.version}, ${threads} threads: load 1 is ${marks.capacityPerMs.toFixed(3)} pictures/ms; deadline ${marks.deadlineMs.toFixed(1)} ms, in which the cheapest runs ${marks.cheapestRuns.alone} times alone or ${marks.cheapestRuns.full} times with a full batch`,
);
const bar = progress('simulating', scenes.length * contendersOn(instances.length));
const results = scenes.map((s) => compareOn(s, () => bar.step()));
bar.stop();
for (const result of results) printTrace(result);

const range = { cheapest: cheapestOf(instances, medianOf(table)).accuracy, full: dearestOf(instances).accuracy };
const headlines = results.map(headline);
printHeadlines(headlines, range);

const short = options.oracle
  ? LENGTHS.map(({ pictures, sees }) => ({ pictures, traces: shortResults(pictures, sees) }))
  : [];
for (const { pictures, traces } of short) printShort(pictures, traces);

const lost = lostTo([...results, ...short.flatMap((s) => s.traces.map((r) => r.result))]);
for (const { trace, rival, by } of lost)
  console.log(`LOST on ${trace}: ${rival} is ${(by * 100).toFixed(2)} points above`);
for (const { trace, bestFixed } of notClear(results))
  console.log(`NOT CLEAR on ${trace}: within the spread of ${bestFixed}`);

writeResult(options.out, {
  ...circumstances(),
  family: { name: table.family, version: table.version, accuracy: range },
  measuredOn: table.host,
  setting: { ...setting, cheapestRuns: marks.cheapestRuns },
  contenders: [DIMMER, fixed('<id>'), ...BATCHERS.map((on) => on('<best fixed>')), ...CHOOSERS].map(
    ({ name, note }) => ({ name, note }),
  ),
  traces: results,
  headlines,
  short: short.map(({ pictures, traces }) => ({
    pictures,
    share: overallShare(traces),
    planners: plannersShare(traces),
    traces: traces.map(({ result: { trace, bestFixed }, ...figures }) => ({
      trace,
      bestFixedIs: bestFixed,
      ...figures,
    })),
  })),
  lost,
});
process.exitCode = lost.length ? 1 : 0;

function shortResults(pictures: number, sees: readonly number[]): ShortResult[] {
  const world = exactWorld(table, 1); // where the oracle is exact, and fast
  const traces = shortTraces(world.capacityPerMs, pictures);
  const bar = progress(`traces of ${pictures} pictures`, traces.length);
  const results = traces.map((trace) => {
    const result = compareWithOracle(trace, world, sees);
    bar.step();
    return result;
  });
  bar.stop();
  return results;
}
