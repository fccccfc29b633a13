/**
 * For any measurements, any recorded times and any clock, the answers of the model are finite, positive and in order.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Baselines, ENOUGH, PICTURE_KINDS, type PictureKind } from '../../src/latency/baselines.js';
import { LatencyModel, type Times } from '../../src/latency/model.js';
import { seeded } from '../../src/load/random.js';
import { BATCH_SIZES } from '../../src/runtime/batch-sizes.js';

const SPREAD = Array.from({ length: ENOUGH }, (_, n) => 1 + n / 50);
const BASELINES: Baselines = {
  onnxThreads: 2,
  runs: { 'f/full': { aMs: 2, bMs: 8 }, 'f/half': { aMs: 1, bMs: 4 }, 'f/quarter': { aMs: 1, bMs: 2 } },
  runSpread: SPREAD,
  families: { f: 1, g: 3 },
  kinds: { JPEG: 10, PNG: 40 },
  decodeSpread: SPREAD,
};
const FAMILIES = ['f', 'g', 'unknown', '__proto__'];
const KEYS = ['f/full', 'f/half', 'f/quarter', 'f/unknown', '__proto__', ''];
const SIZES = [1, 2, 3, 4, 8, 9, 1000, 1e9];
const MEGAPIXELS = [0, 0.001, 0.5, 12, 1e5, 1e12];
/** Tolerance for rounding. */
const ALMOST = 1 + 1e-9;

const sound = (times: Times) =>
  [times.meanMs, times.highMs, times.idleMs, times.cpuMs].every((ms) => Number.isFinite(ms) && ms > 0) &&
  times.highMs >= times.meanMs;
const figures = ({ meanMs, highMs, idleMs, cpuMs }: Times) => [meanMs, highMs, idleMs, cpuMs];
const pairs = <T>(all: readonly T[]) => all.slice(1).map((b, n) => [all[n] as T, b] as const);

const ODD = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Whether `ask` gives valid times for all these numbers, and never falls with the number. */
const rises = (ask: (n: number) => Times, numbers: readonly number[]) =>
  [...numbers, ...ODD].every((n) => sound(ask(n))) &&
  pairs(numbers).every(([n, more]) => {
    const after = figures(ask(more));
    return figures(ask(n)).every((ms, k) => ms <= (after[k] as number) * ALMOST);
  });

/** Whether the time for each picture never grows with the batch size. */
const savesByBatches = (ask: (n: number) => Times) =>
  pairs(SIZES).every(([n, more]) => {
    const after = figures(ask(more));
    return figures(ask(n)).every((ms, k) => (ms / n) * ALMOST >= (after[k] as number) / more);
  });

/** Whether all answers of the model are valid and in order. */
const isSound = (model: LatencyModel) =>
  KEYS.every((key) => {
    const ask = (n: number) => model.run(key, n);
    return rises(ask, SIZES) && savesByBatches(ask);
  }) &&
  FAMILIES.every((family) => PICTURE_KINDS.every((kind) => rises((n) => model.decode(family, kind, n), MEGAPIXELS)));

const anyNumber = fc.oneof(
  fc.double(),
  fc.double({ min: 0, max: 100, noNaN: true }),
  fc.constantFrom(0, -0, -1, 1e-320, 1e300, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
);
const anyTime = fc.oneof(fc.double({ min: 0, noNaN: true }), fc.constantFrom(0, 1e-320, 1e300, 5));
const anySpread = fc.array(fc.double({ min: Number.MIN_VALUE, noNaN: true }), { maxLength: ENOUGH });
const anyBaselines: fc.Arbitrary<Baselines> = fc.record({
  onnxThreads: fc.integer({ min: 1, max: 1024 }),
  runs: fc.dictionary(fc.constantFrom(...KEYS), fc.record({ aMs: anyTime, bMs: anyTime })),
  runSpread: anySpread,
  families: fc.dictionary(fc.constantFrom(...FAMILIES), anyTime),
  kinds: fc.dictionary(fc.constantFrom(...PICTURE_KINDS), anyTime),
  decodeSpread: anySpread,
});
type Step =
  | { what: 'ran'; of: string; n: number; ms: number }
  | { what: 'decoded'; of: string; kind: PictureKind; n: number; ms: number }
  | { what: 'silence' | 'jump'; ms: number }
  | { what: 'asked' };
const a = <T>(value: T) => fc.constant(value);
const kind = fc.constantFrom(...PICTURE_KINDS);
const ran = fc.record({ what: a('ran' as const), of: fc.constantFrom(...KEYS), n: anyNumber, ms: anyNumber });
const decoded = fc.record({
  what: a('decoded' as const),
  of: fc.constantFrom(...FAMILIES),
  kind,
  n: anyNumber,
  ms: anyNumber,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: ran, weight: 4 },
  { arbitrary: decoded, weight: 3 },
  fc.record({ what: a('silence' as const), ms: fc.double({ min: 0, max: 1e6, noNaN: true }) }),
  fc.record({ what: a('jump' as const), ms: anyNumber }),
  a({ what: 'asked' as const }),
);

t.test('after any measurements, runs, silences and clock jumps every answer is finite, positive and in order', (t) => {
  const anyStart = fc.oneof(fc.constant(BASELINES), anyBaselines);
  const holds = (baselines: Baselines, steps: readonly Step[]) => {
    let nowMs = 0;
    const model = LatencyModel.from(baselines, () => nowMs);
    const take: { [W in Step['what']]: (s: Extract<Step, { what: W }>) => unknown } = {
      ran: ({ of, n, ms }) => model.ran(of, n, ms),
      decoded: ({ of, kind, n, ms }) => model.decoded(of, kind, n, ms),
      silence: ({ ms }) => (nowMs += ms),
      jump: ({ ms }) => (nowMs = ms),
      asked: () => model.run('f/full', 1),
    };
    return (
      steps.every((s) => {
        take[s.what](s as never);
        return s.what !== 'asked' || isSound(model);
      }) && isSound(model)
    );
  };
  fc.assert(fc.property(anyStart, fc.array(step, { maxLength: 60 }), holds), { numRuns: 300 });
  t.end();
});

/** A model with the baselines above, and a clock that the test advances. */
function setUp() {
  let nowMs = 0;
  const model = LatencyModel.from(BASELINES, () => nowMs);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const random = seeded(1);
  /** Records rounds of runs; `times`: by instance, the multiple of the baseline that a run takes. */
  const rounds = (count: number, times: Record<string, number>, everyMs = 5) => {
    const all = Object.entries(times);
    for (let n = 0; n < count; n++)
      for (const _ of all) {
        const [key, factor] = all[Math.floor(random() * all.length)] as [string, number];
        pass(everyMs);
        const { aMs, bMs } = BASELINES.runs[key] as { aMs: number; bMs: number };
        model.ran(key, 1, factor * (aMs + bMs));
      }
  };
  return { model, pass, rounds };
}
const near = (t: Test, got: number, wanted: number, message: string, share = 0.02) =>
  t.ok(Math.abs(got / wanted - 1) <= share, `${message}: ${got} and not ${wanted}`);

t.test('before any run: the baselines, and as far above them as the measurement at start was', (t) => {
  const { model } = setUp();
  const { meanMs, highMs, idleMs, cpuMs } = model.run('f/full', 4);
  near(t, meanMs, 34 * 1.19, 'mean');
  near(t, highMs, 34 * (SPREAD[18] as number), 'high');
  t.equal(idleMs, highMs);
  t.equal(cpuMs, 34 * 2, 'both ONNX threads');
  near(t, model.decode('g', 'PNG', 0.5).meanMs, 23 * 1.19, 'a decode');
  near(t, model.decode('unknown', 'TIFF', 0.5).meanMs, 23 * 1.19, 'what is unknown may be the dearest');
  near(t, model.run('f/unknown', 1).meanMs, 6 * 1.19, 'an instance that nobody measured is as the others are');
  t.end();
});

t.test('load slows all instances alike, also those that did not run; idle times and CPU times do not change', (t) => {
  const { model, rounds } = setUp();
  const before = model.run('f/quarter', 8);
  rounds(64, { 'f/full': 3, 'f/half': 3 });
  for (const key of Object.keys(BASELINES.runs)) {
    const { meanMs, highMs } = model.run(key, 1);
    const { aMs, bMs } = BASELINES.runs[key] as { aMs: number; bMs: number };
    near(t, meanMs, 3 * (aMs + bMs), key, 0.05);
    near(t, highMs, meanMs, 'all took as long', 0.1);
  }
  near(t, model.run('f/quarter', 8).idleMs, before.idleMs, 'idle');
  near(t, model.run('f/quarter', 8).cpuMs, before.cpuMs, 'CPU');
  t.end();
});

t.test('one slow run in twenty does not change the high quantile; more do', (t) => {
  const { model, rounds } = setUp();
  rounds(64, { 'f/full': 1 });
  rounds(2, { 'f/full': 10 });
  t.ok(model.run('f/full', 1).highMs < 15, 'two of 64: no more than the mean');
  rounds(3, { 'f/full': 10 });
  t.ok(model.run('f/full', 1).highMs > 90);
  t.end();
});

t.test('two seconds after a burst nothing of it is left', (t) => {
  const { model, rounds, pass } = setUp();
  const before = model.run('f/full', 1);
  rounds(64, { 'f/full': 6, 'f/half': 6 });
  t.ok(model.run('f/full', 1).highMs > 50);
  pass(2001);
  for (const [n, ms] of figures(model.run('f/full', 1)).entries())
    near(t, ms, figures(before)[n] as number, `${n}`, 0.1);
  t.end();
});

t.test('a clock that goes back forgets what lies ahead of it', (t) => {
  const { model, rounds, pass } = setUp();
  pass(10_000);
  rounds(64, { 'f/full': 6 });
  pass(-5_000);
  t.ok(model.run('f/full', 1).highMs < 20);
  t.end();
});

t.test('a wrong baseline is corrected by its own runs in comparison with others', (t) => {
  const { model, rounds } = setUp();
  rounds(600, { 'f/full': 1.1, 'f/half': 1.1, 'f/quarter': 3.3 });
  const [quarter, full] = [model.run('f/quarter', 1), model.run('f/full', 1)];
  near(t, quarter.meanMs / full.meanMs, 0.9, 'nine tenths of full, as they run', 0.05);
  t.ok(model.run('f/quarter', 1).idleMs < full.idleMs);
  t.end();
});

t.test('baselines that were measured on a busy host come down', (t) => {
  const { model, rounds } = setUp();
  rounds(800, { 'f/full': 0.4 });
  near(t, model.run('f/full', 1).cpuMs, 0.4 * 20, 'CPU', 0.05);
  t.end();
});

t.test('repeated load is not mistaken for a wrong baseline', (t) => {
  const { model, rounds, pass } = setUp();
  for (let n = 0; n < 40; n++) {
    rounds(60, { 'f/quarter': 3, 'f/half': 3 });
    pass(5000);
    rounds(20, { 'f/full': 1.05, 'f/half': 1.05 });
    pass(5000);
  }
  for (const key of Object.keys(BASELINES.runs)) {
    const { aMs, bMs } = BASELINES.runs[key] as { aMs: number; bMs: number };
    near(t, model.run(key, 1).cpuMs, 2 * (aMs + bMs), key, 0.15);
  }
  t.end();
});

t.test('the correction of a baseline is bounded', (t) => {
  const { model, rounds } = setUp();
  rounds(2000, { 'f/full': 1, 'f/half': 1, 'f/quarter': 1000 });
  t.ok(model.run('f/quarter', 1).cpuMs <= 4 * 2 * 3 * ALMOST);
  t.end();
});

t.test('decodes correct the model as runs do, by family and by format', (t) => {
  let nowMs = 0;
  const model = LatencyModel.from(BASELINES, () => nowMs);
  for (let n = 0; n < 800; n++) {
    nowMs += 10;
    model.decoded('f', 'JPEG', 0.01, 1.1);
    model.decoded('f', 'PNG', 2, 2 * 81);
  }
  const [small, large] = [model.decode('f', 'JPEG', 0.01).cpuMs, model.decode('f', 'PNG', 2).cpuMs];
  near(t, large / small, 162 / 1.1, 'as they take', 0.1);
  t.ok(model.decode('f', 'JPEG', 12).cpuMs < model.decode('f', 'PNG', 12).cpuMs / 5, 'another kind stays as it was');
  t.end();
});

t.test('times are cached for every batch size of every device, as each decision asks for them', (t) => {
  const model = LatencyModel.from(BASELINES, () => 0);
  for (const size of Object.values(BATCH_SIZES).flat()) t.equal(model.run('f/full', size), model.run('f/full', size));
  t.end();
});
