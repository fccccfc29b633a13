import t from 'tap';
import { compareOn, lostTo, notClear, type Row, type TraceResult } from '../../bench/simulate/compare.js';
import { headline } from '../../bench/simulate/headline.js';
import { compareWithOracle, overallShare, plannersShare, shortTraces } from '../../bench/simulate/short.js';
import { over, type Summary, spread } from '../../bench/simulate/summary.js';
import { instancesOf, latencyOf, medianOf, type Table, yardsticks } from '../../bench/simulate/table.js';
import { exactWorld, measuredWorld } from '../../bench/simulate/world.js';

const SIZES = [1, 2, 4, 8];
const cell = (ms: number) => Object.fromEntries(SIZES.map((size) => [size, [ms * size, 2 * ms * size, 9 * ms * size]]));
const TABLE: Table = {
  family: 'test',
  version: 'v',
  host: {},
  threads: 2,
  instances: [
    { id: 'cheap', key: 'test/cheap', flops: 25, share: 0.25, accuracy: 0.6 },
    { id: 'full', key: 'test/full', flops: 100, share: 1, accuracy: 0.9 },
  ],
  samples: { cheap: cell(1), full: cell(3) },
};
const [FULL, CHEAP] = instancesOf(TABLE);

t.test('a table: most accurate first, the usual run is the median, a promise is longer', (t) => {
  t.same([FULL?.id, CHEAP?.id], ['full', 'cheap']);
  if (!FULL || !CHEAP) return t.end();
  t.equal(medianOf(TABLE)(CHEAP, 8), 16);
  t.ok(latencyOf(TABLE).predict(CHEAP, 8) >= 16);
  t.throws(() => latencyOf(TABLE).predict(CHEAP, 3), /batch 3 is not in the table/);
  t.end();
});

t.test('load 1 is what the cheapest can do; the deadline leaves 40 of its pictures or 30 ms', (t) => {
  const marks = yardsticks(instancesOf(TABLE), 2, medianOf(TABLE));
  t.same(marks, { capacityPerMs: 1, deadlineMs: 6 + 40, cheapestRuns: { alone: 23, full: 2 } });
  t.equal(yardsticks(instancesOf(TABLE), 4, medianOf(TABLE)).deadlineMs, 6 + 30);
  t.end();
});

t.test('durations are drawn alike for all, and from the samples', (t) => {
  const world = measuredWorld(TABLE, { threads: 1, deadlineMs: 1 }, 1);
  if (!FULL || !CHEAP) return t.end();
  for (const ordinal of [3, 0, 2, 1]) {
    t.equal(world.durationMs(FULL, 2, ordinal), 3 * world.durationMs(CHEAP, 2, ordinal));
    t.ok([2, 4, 18].includes(world.durationMs(CHEAP, 2, ordinal)));
  }
  t.end();
});

const SUMMARY: Summary = {
  arrivals: 1,
  attainment: 1,
  utility: 0.8,
  accuracy: 0.8,
  costShare: 1,
  refused: 0,
  expired: 0,
  late: 0,
  failed: 0,
  responseP50Ms: 1,
  responseP99Ms: 1,
  decisionP50Ms: 0,
  decisionP99Ms: 0,
};
const row = (name: string, attainment: number, accuracy: number): Row => ({
  name,
  figures: over([{ ...SUMMARY, attainment, accuracy, utility: attainment * accuracy }]),
  utilities: [attainment * accuracy],
});
const result = (rows: Row[], gains = [0.01, 0.02]): TraceResult => ({
  trace: 'test',
  bursty: true,
  bestFixed: 'fixed:x',
  gain: spread(gains),
  rows,
});

t.test('headline: accuracy over who attains as much, attainment over who is as accurate', (t) => {
  const rows = [
    row('dimmer', 1, 0.88),
    row('fixed:full', 0.5, 0.9),
    row('fixed:cheap', 1, 0.8),
    row('slackfit', 1, 0.9),
  ];
  const { accuracyGain, attainmentRatio, reached, over } = headline(result(rows));
  t.equal(accuracyGain.toFixed(6), '0.080000');
  t.equal(attainmentRatio, 2);
  t.same([reached, over], [true, 'fixed:cheap']);
  t.end();
});

t.test('headline: nobody attains as much, nobody is as accurate', (t) => {
  const rows = [row('dimmer', 1, 0.88), row('fixed:full', 0.5, 0.8), row('fixed:cheap', 0.9, 0.7)];
  t.match(headline(result(rows)), { reached: false, over: 'fixed:cheap', attainmentRatio: null });
  t.end();
});

t.test('a contender more than 0.2 points above is a loss, on the trace where it happens', (t) => {
  const lost = lostTo([result([row('dimmer', 1, 0.88), row('a', 1, 0.8819), row('b', 1, 0.8821)])]);
  t.match(lost, [{ trace: 'test', rival: 'b' }]);
  t.equal(lost.length, 1);
  t.end();
});

t.test('a gain within the spread of the seeds is not clear', (t) => {
  t.equal(notClear([result([], [0.01, 0.02]), result([], [0.01, -0.005])]).length, 1);
  t.end();
});

t.test('on short traces the oracle is above everyone, and the share is of its gain', (t) => {
  const world = exactWorld(TABLE, 1);
  const traces = shortTraces(world.capacityPerMs, 200);
  t.ok(traces.length >= 10 && traces.every((trace) => trace.arrivalsMs.length <= 200));
  const results = traces
    .slice(-2)
    .map((trace) => compareWithOracle({ ...trace, arrivalsMs: trace.arrivalsMs.slice(0, 40) }, world, [0, 1]));
  for (const { oracle, result, ours, bestFixed, planners, share } of results) {
    t.ok(planners.every(({ utility }) => utility <= oracle + 1e-9));
    t.ok(result.rows.every(({ figures }) => figures.utility.mean <= oracle + 1e-9));
    t.ok(Math.abs(share * (oracle - bestFixed) - (ours - bestFixed)) < 1e-9);
  }
  t.ok(overallShare(results) <= 1);
  t.strictSame(
    plannersShare(results).map((p) => p.sees),
    [0, 1],
  );
  t.end();
});

t.test('a comparison has every contender once, ours first', (t) => {
  const world = exactWorld(TABLE, 1);
  const { rows, bestFixed } = compareOn([{ world, trace: { name: 'test', bursty: false, arrivalsMs: [0, 1, 2, 30] } }]);
  const names = rows.map((r) => r.name);
  t.equal(names[0], 'dimmer');
  t.equal(new Set(names).size, names.length);
  t.ok(names.includes(bestFixed));
  t.end();
});
