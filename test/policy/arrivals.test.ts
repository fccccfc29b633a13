import t from 'tap';
import { exponential, gamma, seeded } from '../../bench/simulate/random.js';
import { Arrivals } from '../../src/policy/arrivals.js';

const perMs = (arrivals: Arrivals, nowMs: number) => arrivals.forecast(nowMs).arrivalsPerMs;
const dispersion = (arrivals: Arrivals, nowMs: number) => arrivals.forecast(nowMs).dispersion;

t.test('pictures per ms over the last 100 ms', (t) => {
  const arrivals = new Arrivals();
  t.equal(perMs(arrivals, 0), 0);
  arrivals.add(0, 3);
  arrivals.add(150);
  t.equal(perMs(arrivals, 150), 0.01, 'those at 0 are over');
  arrivals.add(240, 2);
  t.equal(perMs(arrivals, 240), 0.03);
  t.equal(perMs(arrivals, 1000), 0);
  t.end();
});

t.test('until 100 ms have passed, over the time since the first', (t) => {
  const arrivals = new Arrivals();
  arrivals.add(1000);
  t.equal(perMs(arrivals, 1000), 0, 'one alone is no rate');
  arrivals.add(1002, 3);
  t.equal(perMs(arrivals, 1002), 0.06, 'over 50 ms at least');
  arrivals.add(1060, 3);
  t.equal(perMs(arrivals, 1060), 0.1);
  t.equal(perMs(arrivals, 1080), 0.075);
  t.end();
});

t.test('what lasts is counted in whole spans of 50 ms, the last four', (t) => {
  const lasting = (arrivals: Arrivals, nowMs: number) => arrivals.forecast(nowMs).lastingPerMs;
  const arrivals = new Arrivals();
  t.equal(lasting(arrivals, 0), 0);
  arrivals.add(10, 30);
  t.equal(lasting(arrivals, 20), 0, 'the span under way does not count');
  t.equal(lasting(arrivals, 50), 0.6);
  t.equal(lasting(arrivals, 199), 0.2, 'over those that there were');
  arrivals.add(210, 10);
  t.equal(lasting(arrivals, 249), 0.15);
  t.equal(lasting(arrivals, 250), 0.05, 'the first is forgotten');
  t.equal(lasting(arrivals, 5000), 0);
  t.end();
});

t.test('a long life forgets as it goes', (t) => {
  const arrivals = new Arrivals();
  for (let ms = 0; ms < 20_000; ms++) {
    arrivals.add(ms);
    if (ms % 500 === 499) t.equal(perMs(arrivals, ms), 1);
  }
  t.end();
});

t.test('how uneven they are: variance over mean of counts', (t) => {
  const even = new Arrivals();
  t.equal(dispersion(even, 7), 1, 'nothing seen');
  for (let ms = 0; ms < 6000; ms += 5) even.add(ms);
  t.ok(dispersion(even, 6000) < 0.05, 'a metronome');
  const measured = (gap: () => number) => {
    const arrivals = new Arrivals();
    let now = 0;
    const values: number[] = [];
    while (now < 60_000) {
      now += gap();
      arrivals.add(now);
      values.push(dispersion(arrivals, now));
    }
    return values.slice(1000).reduce((a, b) => a + b, 0) / (values.length - 1000);
  };
  const random = seeded(1);
  const poisson = measured(() => 2 * exponential(random));
  t.ok(poisson > 0.8 && poisson < 1.2, `Poisson: ${poisson}`);
  const clumps = measured(() => 2 * gamma(1 / 8, random));
  t.ok(clumps > 4 && clumps < 9, `gamma, CV^2 8: ${clumps}`);
  t.end();
});

t.test('after a pause only the pause is remembered', (t) => {
  const arrivals = new Arrivals();
  for (let ms = 0; ms < 6000; ms += 1) arrivals.add(ms, 1 + (ms % 100 < 10 ? 20 : 0));
  t.ok(dispersion(arrivals, 6000) > 5);
  t.equal(dispersion(arrivals, 1e9), 1);
  arrivals.add(1e9);
  t.equal(perMs(arrivals, 1e9), 0.01);
  t.end();
});
