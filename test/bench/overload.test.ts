/** The pure parts of bench/overload: figures, the corrected goal, verdicts, and the pictures that it makes. */
import sharp from 'sharp';
import t from 'tap';
import type { RequestRecord } from '../../bench/load/job.js';
import { type CpuUse, correctedCapacity } from '../../bench/overload/goal.js';
import { photograph } from '../../bench/overload/pictures.js';
import { summarise } from '../../bench/overload/summary.js';
import { lineOf, tableOf } from '../../bench/overload/table.js';
import { capacityAround, findings, type Run, shareOf, spreadOf } from '../../bench/overload/verdict.js';
import { seeded } from '../../src/load/random.js';
import { median } from '../../src/load/statistics.js';

const WINDOW = { latencyMs: 100, durationMs: 2000, maxWaitMs: 10_000 };
const ACCURACIES = new Map([
  ['full', 0.9],
  ['cheap', 0.8],
]);
const answer = (record: Partial<RequestRecord> = {}): RequestRecord => ({
  scheduledMs: 0,
  lagMs: 1,
  status: 200,
  reason: 'ok',
  latencyMs: 95,
  headMs: 94,
  totalMs: 90,
  met: true,
  instance: 'full',
  ...record,
});
const refusal = (status: number, reason: string, headMs: number): RequestRecord => ({
  scheduledMs: 0,
  lagMs: 0,
  status,
  reason,
  latencyMs: headMs + 1,
  headMs,
});

t.test('every arrival is counted once, in time by totalMs', async (t) => {
  const s = summarise(
    [
      answer(),
      answer({ instance: 'cheap', latencyMs: 110 }), // in time by the service's clock only
      answer({ lagMs: 10 }), // the client sent it late, which the service cannot know
      answer({ totalMs: 101, met: false }),
      answer({ totalMs: 101 }), // says that it was in time
      answer({ scheduledMs: 1950 }), // read when no requests arrived any more
      refusal(503, 'overloaded', 5),
      refusal(503, 'deadline-unattainable', 7),
      refusal(422, 'infeasible-budget', 3),
      refusal(503, 'overloaded', 10_001),
      refusal(504, 'deadline-exceeded', 100),
      refusal(500, 'internal', 4),
      { scheduledMs: 0, lagMs: 0, status: 0, reason: 'ECONNRESET', latencyMs: 1 },
    ],
    ACCURACIES,
    WINDOW,
  );
  t.equal(s.arrivals, 13);
  t.same(s.inTimePerS, { service: 1.5, client: 1.5 });
  t.equal(s.attainment, 4 / 13);
  t.equal(s.late, 2);
  t.equal(s.wronglyMet, 1);
  t.equal(s.expired, 1);
  t.same(s.refused, { overloaded: 2, 'deadline-unattainable': 1, 'infeasible-budget': 1 });
  t.equal(s.refusedAfterWaiting, 1);
  t.equal(s.refusalMs.p99, 7, 'who waited first was not refused at once');
  t.same(s.failed, { '500 internal': 1, '0 ECONNRESET': 1 });
  t.ok(Math.abs(s.deliveredAccuracy - (3 * 0.9 + 0.8) / 4) < 1e-9);
  t.same(s.instances, { full: 5, cheap: 1 });
});

const CPU: CpuUse = {
  capacityPerS: 100,
  closed: { serviceMsPerS: 1800, clientMsPerS: 200 },
  open: { clientMsPerS: 200, offeredPerS: 300, refusedPerS: 200 },
  refusalMs: 0,
};

t.test('the CPU time of refusals and of the client lowers the goal', async (t) => {
  t.equal(correctedCapacity(CPU), 100, 'refusals that cost nothing and a client as before take nothing');
  const busy = { ...CPU.open, clientMsPerS: 650 };
  t.equal(correctedCapacity({ ...CPU, open: busy }), 75, 'a quarter of what the service had');
  // 18 ms an answer, 1.8 ms a refusal: with A answers 300 - A refusals, 18 A + 1.8 (300 - A) = 1800
  const needed = (1800 - 540) / (18 - 1.8);
  t.ok(Math.abs(correctedCapacity({ ...CPU, refusalMs: 1.8 }) - 80) < 1e-9, 'as many as were refused');
  const all = { ...CPU.open, refusedPerS: 290 };
  t.ok(Math.abs(correctedCapacity({ ...CPU, open: all, refusalMs: 1.8 }) - needed) < 1e-9, 'no more than need be');
});

t.test('the corrected capacity is between 0 and the capacity', async (t) => {
  const idle = { ...CPU.open, clientMsPerS: 0 };
  t.equal(correctedCapacity({ ...CPU, open: idle }), 100);
  t.equal(correctedCapacity({ ...CPU, refusalMs: 50 }), 0, 'a refusal dearer than an answer');
  t.equal(correctedCapacity({ ...CPU, open: { ...CPU.open, clientMsPerS: 9000 } }), 0);
});

t.test('medians, and the capacity around a run', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.ok(Number.isNaN(median([])));
  t.same(spreadOf([5, 1, 3]), { median: 3, least: 1, most: 5, n: 3 });
  const measured = [100, 40, 90, 110];
  t.equal(capacityAround(measured, 0), 90, 'one that was disturbed does not decide');
  t.equal(capacityAround(measured, 2), 100, 'as long as the next is not known');
});

const run = (given: Partial<Omit<Run, 'summary'>> & { inTimePerS?: number; records?: RequestRecord[] } = {}): Run => {
  const { inTimePerS = 95, records = [answer()], ...rest } = given;
  const summary = summarise(records, ACCURACIES, WINDOW);
  return {
    service: 'this',
    load: 1.2,
    mode: 'strict',
    cpu: CPU,
    alone: { before: 0.9, after: 0.9 },
    ...rest,
    summary: { ...summary, inTimePerS: { service: inTimePerS, client: inTimePerS } },
  };
};
const failed = (...runs: Run[]) => findings(runs).flatMap((f) => (f.holds ? [] : [f.what]));

t.test('a good run fails nothing, and the median of several decides', async (t) => {
  t.same(failed(run()), []);
  t.same(failed(run({ inTimePerS: 10 }), run(), run()), []);
  t.match(failed(run({ inTimePerS: 10 }), run({ inTimePerS: 89 }), run()), [/share of capacity/]);
});

t.test('far above capacity the demanded share is lower, and refers to the corrected capacity', async (t) => {
  t.same(failed(run({ load: 3, inTimePerS: 81 })), []);
  t.match(failed(run({ load: 3, inTimePerS: 79 })), [/share of capacity/]);
  const dear = { ...CPU, refusalMs: 1.8 };
  t.ok(Math.abs(shareOf(run({ load: 3, cpu: dear })).demanded - 0.64) < 1e-9);
  t.equal(shareOf(run({ load: 1.5, cpu: dear })).demanded, 0.9);
});

t.test('each goal has a finding', async (t) => {
  const many = (n: number, one: RequestRecord) => Array.from({ length: n }, () => one);
  const expired = refusal(504, 'deadline-exceeded', 100);
  t.same(failed(run({ records: [...many(99, answer()), expired] })), []);
  t.match(failed(run({ records: [...many(98, answer()), ...many(2, expired)] })), [/expired/]);
  t.same(failed(run({ records: [answer(), refusal(503, 'overloaded', 20)] })), []);
  t.match(failed(run({ records: [answer(), refusal(503, 'overloaded', 21)] })), [/refusal p99/]);
  t.match(failed(run({ records: [answer(), refusal(500, 'internal', 1)] })), [/failed/]);
  t.match(failed(run({ alone: { before: 0.9, after: 0.8 } })), [/lone request/]);
});

t.test('services, loads and modes are judged apart', async (t) => {
  const found = findings([run(), run({ service: 'old', inTimePerS: 1 }), run({ mode: 'best effort' })]);
  t.equal(new Set(found.map((f) => `${f.service} ${f.load} ${f.mode}`)).size, 3);
  t.same(
    found.filter((f) => !f.holds).map((f) => f.service),
    ['old'],
  );
  t.match(found.map(lineOf)[0], /^holds {2}this, 1.2 x, strict: .*0\.950 \(0\.950 to 0\.950, n = 1\), limit 0\.900$/);
  t.match(tableOf([run()]), [{ service: 'this', 'in time/s': 95, '% of capacity': 95 }]);
});

t.test('a synthetic photograph is a JPEG with detail, and each seed makes another', async (t) => {
  const [width, height] = [400, 300];
  const [one, again, other] = (await Promise.all([1, 1, 2].map((seed) => photograph(width, height, seeded(seed))))) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  t.match(await sharp(one).metadata(), { format: 'jpeg', width, height, channels: 3 });
  t.ok(one.equals(again));
  t.notOk(one.equals(other));
  // 12 megapixels at this density are 2 to 5 MB.
  const perPixel = one.length / (width * height);
  t.ok(perPixel > 2 / 12 && perPixel < 5 / 12, `${perPixel} bytes a pixel`);
});
