import t from 'tap';
import { gamma } from '../../bench/virtual/random.js';
import { exponential, seeded } from '../../src/load/random.js';
import { Arrivals } from '../../src/plan/arrivals.js';

const perMs = (arrivals: Arrivals, nowMs: number) => arrivals.forecast(nowMs).arrivalsPerMs;
const dispersion = (arrivals: Arrivals, nowMs: number) => arrivals.forecast(nowMs).dispersion;

t.test('before there are enough spans, the rate is pictures per ms since the first', (t) => {
  const arrivals = new Arrivals();
  t.equal(perMs(arrivals, 0), 0);
  arrivals.add(1000);
  t.equal(perMs(arrivals, 1000), 0, 'one alone is no rate');
  arrivals.add(1002, 3);
  t.equal(perMs(arrivals, 1002), 0.15, 'over 20 ms at least');
  arrivals.add(1060, 3);
  t.equal(perMs(arrivals, 1060), 0.1);
  t.equal(perMs(arrivals, 1080), 0.075);
  t.end();
});

/** Adds `counts` pictures in successive spans of 50 ms, at the middle of each; returns the end of the last span. */
function fill(arrivals: Arrivals, counts: readonly number[], fromMs = 0): number {
  for (const [n, count] of counts.entries()) if (count) arrivals.add(fromMs + 50 * n + 25, count);
  return fromMs + 50 * counts.length;
}

/** The counts repeated n times. */
const times = (n: number, counts: readonly number[]) => Array.from({ length: n }, () => counts).flat();

/** Counts that grow by one with each span. */
const RAMP = Array.from({ length: 100 }, (_, n) => n);

t.test('random bursts and lulls change the rate only a little', (t) => {
  const random = seeded(3);
  const uneven = () => Array.from({ length: 100 }, () => (random() < 0.2 ? 50 : 0));
  const burst = new Arrivals();
  const burstMs = fill(burst, [...uneven(), 50, 50]);
  t.ok(perMs(burst, burstMs) > 0.1 && perMs(burst, burstMs) < 0.4, `after a burst: ${perMs(burst, burstMs)}`);
  const lull = new Arrivals();
  const lullMs = fill(lull, [...uneven(), ...times(8, [0])]);
  t.ok(perMs(lull, lullMs) > 0.05, `after a lull: ${perMs(lull, lullMs)}`);
  t.end();
});

t.test('a rate that moves is followed', (t) => {
  const arrivals = new Arrivals();
  const rampMs = fill(arrivals, RAMP);
  t.ok(perMs(arrivals, rampMs) > 97 / 50, `ramp up to 1.98: ${perMs(arrivals, rampMs)}`);
  t.ok(dispersion(arrivals, rampMs) < 0.2, 'it is foretold, so it is not uneven');
  const peak = new Arrivals();
  const peakMs = fill(peak, [...times(100, [10]), 80, 80, 80]);
  t.ok(perMs(peak, peakMs) > 1.3, `peak from 0.2 to 1.6: ${perMs(peak, peakMs)}`);
  t.end();
});

t.test('the present span counts in proportion to the part of it that has passed', (t) => {
  const arrivals = new Arrivals();
  const endMs = fill(arrivals, RAMP);
  const before = perMs(arrivals, endMs);
  arrivals.add(endMs + 10, 60);
  t.ok(perMs(arrivals, endMs + 10) > before + 0.3, 'a peak is seen before it is over');
  t.ok(perMs(arrivals, endMs + 49) < perMs(arrivals, endMs + 10), 'the longer the less it was');
  t.end();
});

t.test('the lasting rate is that of the last four complete spans of 50 ms', (t) => {
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

t.test('old spans are forgotten', (t) => {
  const arrivals = new Arrivals();
  for (let ms = 0; ms < 20_000; ms++) {
    arrivals.add(ms);
    if (ms % 500 === 499) t.ok(Math.abs(perMs(arrivals, ms) - 1) < 0.02, `${ms} ms: ${perMs(arrivals, ms)}`);
  }
  t.end();
});

t.test('the dispersion is the squared error of the forecast over the mean of the counts', (t) => {
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

t.test('a lull does not raise the dispersion, though the mean decays in it', (t) => {
  const random = seeded(1);
  const arrivals = new Arrivals();
  let now = 0;
  while (now < 3000) {
    now += 3 * exponential(random);
    arrivals.add(now);
  }
  for (const quietMs of [200, 500, 1000, 2000])
    t.ok(dispersion(arrivals, 3000 + quietMs) < 4, `${quietMs} ms: ${dispersion(arrivals, 3000 + quietMs)}`);
  t.end();
});

t.test('after a pause only the pause is remembered', (t) => {
  const arrivals = new Arrivals();
  for (let ms = 0; ms < 6000; ms += 1) arrivals.add(ms, 1 + (ms % 100 < 10 ? 20 : 0));
  t.ok(dispersion(arrivals, 6000) > 5);
  t.equal(dispersion(arrivals, 1e9), 1);
  arrivals.add(1e9);
  t.ok(perMs(arrivals, 1e9) > 0 && perMs(arrivals, 1e9) <= 0.02);
  t.end();
});
