import t from 'tap';
import { gamma } from '../../bench/virtual/random.js';
import { dayRate, gammaGaps, makeTraces, overload } from '../../bench/virtual/traces.js';
import { seeded } from '../../src/load/random.js';

const OPTIONS = { capacityPerMs: 2, durationMs: 20_000, seed: 1 };
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const squaredCv = (values: readonly number[]) => {
  const m = mean(values);
  return mean(values.map((v) => (v - m) ** 2)) / m ** 2;
};
const draws = (count: number, draw: () => number) => Array.from({ length: count }, draw);

t.test('a seed always gives the same traces, another seed gives others', (t) => {
  const short = { ...OPTIONS, durationMs: 100 };
  t.same(makeTraces(short), makeTraces(short));
  t.notSame(makeTraces(short)[0], makeTraces({ ...short, seed: 2 })[0]);
  t.end();
});

t.test('traces draw independent random numbers', (t) => {
  const [first, second] = makeTraces(OPTIONS).map(({ arrivalsMs }) => arrivalsMs[0]);
  t.not((first ?? 0) * 0.2, (second ?? 0) * 0.5);
  t.end();
});

for (const cv2 of [0.5, 2, 4, 8]) {
  t.test(`gamma numbers have mean 1 and a squared coefficient of variation of ${cv2}`, (t) => {
    const random = seeded(3);
    const values = draws(200_000, () => gamma(1 / cv2, random));
    t.ok(Math.abs(mean(values) - 1) < 0.03, `${mean(values)}`);
    t.ok(Math.abs(squaredCv(values) / cv2 - 1) < 0.06, `${squaredCv(values)}`);
    t.end();
  });
}

t.test('traces keep their load, in order, within the duration', (t) => {
  for (const { name, arrivalsMs } of [...makeTraces(OPTIONS), overload(3, OPTIONS)]) {
    const load = arrivalsMs.length / OPTIONS.durationMs / OPTIONS.capacityPerMs;
    const expected = name === 'ramp 0.2-1.2' ? 0.7 : Number(name.split(' ').at(-1));
    t.ok(Math.abs(load / expected - 1) < 0.06, `${name}: ${load}`);
    t.ok(
      arrivalsMs.every((at, n) => at >= (arrivalsMs[n - 1] ?? 0) && at < OPTIONS.durationMs),
      name,
    );
  }
  t.end();
});

t.test('the ramp rises', (t) => {
  const { arrivalsMs = [] } = makeTraces(OPTIONS).find((trace) => trace.name.startsWith('ramp')) ?? {};
  const quarter = (n: number) => arrivalsMs.filter((at) => Math.floor((4 * at) / OPTIONS.durationMs) === n).length;
  t.ok(quarter(0) < quarter(1) && quarter(1) < quarter(2) && quarter(2) < quarter(3));
  t.end();
});

t.test('the day has mean 1, and peaks above load 1 though its mean load is 0.5', (t) => {
  const rates = Array.from({ length: 5000 }, (_, n) => dayRate((n + 0.5) / 5000));
  t.ok(Math.abs(mean(rates) - 1) < 0.001);
  t.ok(0.5 * Math.max(...rates) > 1);
  t.end();
});

t.test('one thread is killed half-way through one trace', (t) => {
  t.same(
    makeTraces(OPTIONS).flatMap(({ killThreadAtMs }) => killThreadAtMs ?? []),
    [10_000],
  );
  t.end();
});

t.test('clustered gaps are as clustered as asked for', (t) => {
  const arrivals = gammaGaps(4, 1, 200_000, seeded(5));
  const gaps = arrivals.slice(1).map((at, n) => at - (arrivals[n] ?? 0));
  t.ok(Math.abs(squaredCv(gaps) / 4 - 1) < 0.06);
  t.end();
});
