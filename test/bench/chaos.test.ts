/** The pure parts of bench/chaos and of the soak tests. */
import t from 'tap';
import { arrivalsOf, longestSilenceMs, planOf } from '../../bench/chaos/plan.js';
import { findings, type Seen } from '../../bench/chaos/verdict.js';
import { parseMetrics } from '../../bench/load/metrics.js';
import { countedBy, stillHeld, unaccounted } from '../../bench/soak/accounts.js';
import { budgets, faultOf, KINDS, type Kind, kindOf } from '../../bench/soak/kinds.js';
import { seeded } from '../../src/load/random.js';

const MINUTES_20 = 20 * 60_000;

t.test('a plan fills the time without gaps, and has each phase and fault several times', async (t) => {
  const { phases, blows } = planOf(MINUTES_20, 62_000, seeded(1));
  t.equal(phases[0]?.startMs, 0);
  t.equal(phases.at(-1)?.endMs, MINUTES_20);
  for (const [n, phase] of phases.entries()) if (n > 0) t.equal(phase.startMs, phases[n - 1]?.endMs);
  const times = (kind: string) => [...phases, ...blows].filter((x) => x.kind === kind).length;
  for (const kind of ['burst', 'silence', 'kill', 'freeze']) t.ok(times(kind) >= 6, kind);
  t.ok(blows.every((b, n) => b.atMs < MINUTES_20 && b.atMs >= (blows[n - 1]?.atMs ?? 0)));
});

t.test('arrivals keep to the phases', async (t) => {
  const plan = planOf(MINUTES_20, 62_000, seeded(1));
  const arrivals = arrivalsOf(plan, 20, seeded(2));
  t.ok(longestSilenceMs(arrivals) > 62_000);
  const within = (kind: string) => {
    const phases = plan.phases.filter((p) => p.kind === kind);
    const ms = phases.reduce((sum, p) => sum + p.endMs - p.startMs, 0);
    return (1000 * arrivals.filter((at) => phases.some((p) => at >= p.startMs && at < p.endMs)).length) / ms;
  };
  t.equal(within('silence'), 0);
  t.ok(Math.abs(within('steady') - 10) < 1);
  t.ok(Math.abs(within('burst') - 60) < 6);
  t.equal(longestSilenceMs([]), 0);
});

const GOOD: Seen = {
  plan: {
    phases: [],
    blows: [
      { kind: 'kill', atMs: 1 },
      { kind: 'freeze', atMs: 2 },
    ],
  },
  longestSilenceMs: 61_000,
  read: { '200 ok': 9, '500 engine-failed': 1, '503 overloaded': 3, '504 deadline-exceeded': 1 },
  wrong: [],
  deaths: 1,
  answered: { a: 5, b: 4 },
  afterwards: { a: 200, b: 200 },
};
const failed = (seen: Partial<Seen>) => findings({ ...GOOD, ...seen }).flatMap((f) => (f.holds ? [] : [f.what]));

t.test('the verdict names what was wrong, and which faults did not happen', async (t) => {
  t.same(failed({}), []);
  t.match(failed({ read: { '500 internal': 1 } }), [/no 500/]);
  t.match(failed({ wrong: ['200 ok: read 1 times more than counted'] }), [/accounted/]);
  t.match(failed({ deaths: 2 }), [/kill/]);
  t.match(failed({ plan: { phases: [], blows: [] }, deaths: 0 }), [/kill/, /stopped/]);
  t.match(failed({ longestSilenceMs: 59_000 }), [/silence/]);
  t.match(failed({ answered: { a: 5, b: 0 } }), [/every family answered/]);
  t.match(failed({ afterwards: { a: 200, b: 500 } }), [/afterwards/]);
});

t.test('answers read and requests counted agree, except for clients that disconnected', async (t) => {
  const text = ['ok"} 3', 'internal"} 0'].map(
    (end, n) => `dimmer_requests_total{status="${n ? 500 : 200}",reason="${end}`,
  );
  const counted = countedBy(parseMetrics(text.join('\n')));
  t.same(counted, { '200 ok': 3 });
  t.same(unaccounted({ '200 ok': 3 }, counted, 0), []);
  t.same(unaccounted({ '200 ok': 2, left: 1 }, counted, 1), []);
  t.match(unaccounted({ '200 ok': 2 }, counted, 0), [/1 counted beyond/]);
  t.match(unaccounted({ '200 ok': 4 }, counted, 0), [/200 ok: read 1 times more/]);
  t.match(unaccounted({ '200 ok': 3, '503 overloaded': 1 }, counted, 0), [/503 overloaded: read 1 times more/]);
  t.same(stillHeld(parseMetrics('dimmer_queue_pictures 0\ndimmer_waiting_bytes 0')), []);
  t.match(stillHeld(parseMetrics('dimmer_queue_pictures 2')), [/"queued":2/]);
});

t.test('an answer has to fit its request', async (t) => {
  const [picture, form, truncated, text, leaves] = KINDS as [Kind, Kind, Kind, Kind, Kind];
  const fault = (kind: Kind, budget: string | undefined, status: number, code = 'ok', results?: number) =>
    faultOf(kind, budget, { status, code, results });
  t.equal(fault(picture, undefined, 200, 'ok', 1), undefined);
  t.equal(fault(form, undefined, 200, 'ok', 3), undefined);
  t.match(fault(form, undefined, 200, 'ok', 2), /2 results for 3 pictures/);
  t.equal(fault(picture, 'latency=5', 503, 'overloaded'), undefined);
  t.equal(fault(truncated, undefined, 422, 'invalid-image'), undefined);
  t.match(fault(text, undefined, 200, 'ok', 1), /text: 200/);
  t.equal(fault(picture, 'speed=1', 400, 'invalid-budget'), undefined);
  t.match(fault(picture, 'speed=1', 200, 'ok', 1), /picture: 200/);
  t.match(fault(picture, undefined, 500, 'engine-failed'), /500 engine-failed/);
  t.equal(
    faultOf(picture, undefined, { status: 500, code: 'engine-failed', results: undefined }, ['500 engine-failed']),
    undefined,
  );
  t.equal(fault(leaves, undefined, 500), undefined);
});

t.test('kinds are drawn by their shares, and budgets are of every kind', async (t) => {
  const random = seeded(3);
  const drawn = Array.from({ length: 5000 }, () => kindOf(KINDS, random).name);
  for (const { name, share } of KINDS) {
    t.ok(Math.abs(drawn.filter((d) => d === name).length / drawn.length - share) < 0.03, name);
  }
  t.equal(kindOf(KINDS.slice(0, 1), random).name, 'picture');
  t.ok(budgets(99.6, 0.9).includes('latency=100, strict=?0'));
  t.ok(budgets(99.6, 0.9).includes('accuracy=0.9'));
});
