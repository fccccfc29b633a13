import fc from 'fast-check';
import t from 'tap';
import { bestBase, costOfLevel, lostShare, type Reservoir } from '../../src/policy/price.js';
import { FAMILY, FULL, predict, QUARTER } from '../support/instances.js';

const BASES = FAMILY.map((instance) => ({ instance, ms: predict(instance, 8) / 8 }));
const [FULL_RATED, QUARTER_RATED] = [BASES[0], BASES.at(-1)] as [(typeof BASES)[0], (typeof BASES)[0]];
const reservoir = (facts: Partial<Reservoir> = {}): Reservoir => {
  const arrivalsPerMs = facts.arrivalsPerMs ?? 0.1;
  return { fullMs: 60, arrivalsPerMs, exposedPerMs: arrivalsPerMs, dispersion: 1, ...facts };
};
const anyReservoir = fc.record({
  fullMs: fc.double({ min: 0.1, max: 1000, noNaN: true }),
  arrivalsPerMs: fc.double({ min: 0, max: 20, noNaN: true }),
  exposedPerMs: fc.double({ min: 0, max: 20, noNaN: true }),
  dispersion: fc.double({ min: 0, max: 50, noNaN: true }),
});
const anyBase = fc.constantFrom(...BASES);

t.test('in an empty world nothing is lost, and under overload what is too much', (t) => {
  t.equal(lostShare(FULL_RATED, reservoir({ arrivalsPerMs: 0 })), 0);
  // Of a load of 2, half.
  t.ok(Math.abs(lostShare(FULL_RATED, reservoir({ arrivalsPerMs: 0.25, fullMs: 10_000 })) - 0.5) < 0.001);
  t.end();
});

t.test('around load 1 nothing jumps', (t) => {
  const near = (load: number) => {
    const at = reservoir({ arrivalsPerMs: load / FULL_RATED.ms });
    return [lostShare(FULL_RATED, at), costOfLevel(FULL_RATED, at)(30)];
  };
  const [below, one, above] = [near(0.9999), near(1), near(1.0001)] as [number[], number[], number[]];
  for (const n of [0, 1]) {
    t.ok(Math.abs((one[n] as number) / (below[n] as number) - 1) < 0.001);
    t.ok(Math.abs((above[n] as number) / (one[n] as number) - 1) < 0.001);
  }
  t.end();
});

t.test('the share lost is that of a simulated reservoir', (t) => {
  // Clumps of one size: their dispersion is that size, and the reservoir knows nothing but it. In heavy traffic.
  const [clump, fullMs, load] = [4, 400, 0.95];
  const { ms } = QUARTER_RATED;
  const gapMs = (clump * ms) / load;
  let state = 1;
  const random = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  let [level, lost, count] = [0, 0, 0];
  for (let n = 0; n < 400_000; n++) {
    level = Math.max(0, level + Math.log(random()) * gapMs);
    const work = clump * ms;
    lost += Math.max(0, level + work - fullMs) / ms;
    level = Math.min(fullMs, level + work);
    count += clump;
  }
  // VARIANCE is prudence: without it the formula has to fit.
  const dispersion = clump / 3;
  const found = lostShare(QUARTER_RATED, reservoir({ arrivalsPerMs: clump / gapMs, dispersion, fullMs }));
  t.ok(Math.abs(found / (lost / count) - 1) < 0.15, `${found} against ${lost / count}`);
  t.end();
});

t.test('the base: the most accurate in calm, the cheapest in a flood, by the last of equal ones', (t) => {
  t.equal(bestBase(BASES, reservoir({ arrivalsPerMs: 0.001 })).instance, FULL);
  t.equal(bestBase(BASES, reservoir({ arrivalsPerMs: 0.6 })).instance, QUARTER);
  t.equal(bestBase(BASES, reservoir({ arrivalsPerMs: 1e9, fullMs: 1e-6 })).instance, QUARTER);
  t.end();
});

t.test('any level costs something finite, more the higher it is, and each ms more than the one before', (t) => {
  fc.assert(
    fc.property(anyReservoir, anyBase, fc.double({ min: 0, max: 3, noNaN: true }), (reservoir, base, part) => {
      const cost = costOfLevel(base, reservoir);
      const at = part * reservoir.fullMs;
      const step = 0.1 * reservoir.fullMs;
      const [a, b, c] = [cost(at), cost(at + step), cost(at + 2 * step)];
      const noise = 1e-9 * (1 + c);
      return cost(0) === 0 && Number.isFinite(c) && a >= -noise && b >= a - noise && c - b >= b - a - noise;
    }),
    { numRuns: 2000 },
  );
  t.pass('convex');
  t.end();
});

t.test('any share lost is a share', (t) => {
  fc.assert(
    fc.property(anyReservoir, anyBase, (reservoir, base) => {
      const lost = lostShare(base, reservoir);
      return lost >= 0 && lost <= 1;
    }),
    { numRuns: 2000 },
  );
  t.pass();
  t.end();
});
