/** The verdict of bench/strict. */
import t from 'tap';
import { findings, type Participant, type Run } from '../../bench/strict/verdict.js';

const run = (participant: Participant, attainment: number, round = 0, trace = 'poisson 0.8'): Run => ({
  trace,
  participant,
  round,
  attainment,
});
const failed = (...runs: Run[]) => findings(runs).flatMap((f) => (f.holds ? [] : [f.against]));

t.test('strict may lose 0.3 points to best effort and 0.5 to the cheapest, and no more', async (t) => {
  t.same(failed(run('strict', 0.99), run('best effort', 0.993), run('cheapest', 0.995)), []);
  t.same(failed(run('strict', 0.99), run('best effort', 0.9931), run('cheapest', 0.995)), ['best effort']);
  t.same(failed(run('strict', 0.99), run('best effort', 0.99), run('cheapest', 0.9951)), ['cheapest']);
});

t.test('medians are judged, and differences are taken within a round', async (t) => {
  const all = [0.9, 0.99, 0.98].flatMap((attainment, round) => [
    run('strict', attainment, round),
    run('best effort', attainment - 0.001, round),
    run('cheapest', 1, round),
  ]);
  const [best, cheapest] = findings(all);
  t.match(best, { holds: true, strict: 0.98, differences: { n: 3 } });
  t.ok(Math.abs((best?.differences.median ?? 0) - 0.001) < 1e-9);
  t.match(cheapest, { holds: false, other: 1, margin: 0.005 });
});

t.test('each trace has its findings, and a comparison without runs does not hold', async (t) => {
  t.equal(findings([run('strict', 1), run('strict', 1, 0, 'gamma')]).length, 4);
  t.same(failed(run('strict', 1), run('best effort', 1)), ['cheapest']);
});
