import fc from 'fast-check';
import t from 'tap';
import {
  againSamplesSchema,
  ENOUGH_FOR_QUANTILE,
  LatencyTable,
  latencySamplesSchema,
} from '../../src/scheduler/latency.js';

const frozen = () => 0;

t.test('a high quantile of what was measured at start', (t) => {
  const table = new LatencyTable(frozen);
  for (let ms = 11; ms >= 1; ms--) table.measured('a', 1, ms);
  t.equal(table.predict('a', 1), 11, 'of eleven nothing less is exceeded by one in twenty at most');
  for (let ms = 12; ms <= 20; ms++) table.measured('a', 1, ms);
  t.equal(table.predict('a', 1), 19, 'of twenty the last but one');
  t.end();
});

t.test('of few values a high quantile is never a low one', (t) => {
  const table = new LatencyTable(frozen);
  table.measured('a', 1, 220);
  table.measured('a', 1, 300);
  t.equal(table.predict('a', 1), 300);
  t.equal(table.idle('a'), 300);
  t.end();
});

t.test('recent runs take the place of the measurement, once there are enough', (t) => {
  const table = new LatencyTable(frozen);
  for (let i = 0; i < 16; i++) table.measured('a', 1, 5);
  table.record('a', 1, 300);
  t.equal(table.predict('a', 1), 5, 'one slow run decides nothing');
  for (let i = 0; i < 8; i++) table.record('a', 1, 100);
  t.equal(table.predict('a', 1), 100, 'nor among a few');
  t.ok(table.expect('a', 1) > 100, 'but it counts in the mean');
  for (let i = 0; i < 48; i++) table.record('a', 1, 7);
  t.equal(table.predict('a', 1), 7, 'old values are forgotten');
  t.end();
});

t.test('how far few runs differ is taken from the measurement, as many show it themselves', (t) => {
  const table = new LatencyTable(frozen);
  for (const ms of [4, 4, 4, 6]) table.measured('a', 1, ms);
  for (let i = 0; i < ENOUGH_FOR_QUANTILE - 1; i++) table.record('a', 1, i === 0 ? 80 : 10);
  t.equal(table.predict('a', 1), 15);
  table.record('a', 1, 80);
  t.equal(table.predict('a', 1), 80, 'two slow ones of twenty are more than one in twenty');
  t.end();
});

t.test('a host that has become slower is so for instances that did not run', (t) => {
  let nowMs = 0;
  const table = new LatencyTable(() => nowMs);
  for (let i = 0; i < 16; i++) table.measured('a', 1, 4);
  for (let i = 0; i < 16; i++) table.measured('b', 1, 10);
  for (let i = 0; i < 7; i++) table.record('a', 1, 6);
  t.equal(table.predict('b', 1), 10, 'a few runs say nothing');
  table.record('a', 1, 6);
  t.equal(table.predict('b', 1), 15);
  t.equal(table.predict('a', 1), 6);
  nowMs = 30_001;
  t.equal(table.predict('b', 1), 10, 'and recovers');
  for (let i = 0; i < 48; i++) table.record('a', 1, 1);
  t.equal(table.predict('b', 1), 10, 'never faster than measured');
  t.end();
});

t.test('how much slower and how surely, runs of the same size show', (t) => {
  const table = new LatencyTable(frozen);
  for (const [key, ms] of [
    ['a', 4],
    ['b', 10],
  ] as const) {
    for (let i = 0; i < 16; i++) table.measured(key, 1, ms);
    for (let i = 0; i < 16; i++) table.measured(key, 8, 8 * ms);
  }
  for (let i = 0; i < 20; i++) table.record('a', 1, i < 10 ? 8 : 12);
  for (let i = 0; i < 20; i++) table.record('a', 8, 36);
  t.equal(table.predict('b', 1), 30, 'a high quantile of 2 and 3');
  t.equal(table.expect('b', 1), 25);
  t.equal(table.predict('b', 8), 90, 'and not of 2 and 3');
  t.equal(table.cost('b', 8), 80, 'which is no matter of load');
  t.end();
});

t.test('what was slow in a burst is tried again after it, though it did not run since', (t) => {
  let nowMs = 0;
  const table = new LatencyTable(() => nowMs);
  for (let i = 0; i < 8; i++) table.measured('a', 1, 5);
  for (let i = 0; i < 48; i++) table.record('a', 1, 300);
  nowMs = 30_000;
  t.equal(table.predict('a', 1), 300);
  nowMs = 30_001;
  t.equal(table.predict('a', 1), 5);
  t.end();
});

t.test('a size that was not measured lies between its neighbours', (t) => {
  const table = new LatencyTable(frozen);
  table.measured('a', 2, 10);
  table.measured('a', 4, 16);
  t.equal(table.predict('a', 3), 13);
  t.equal(table.predict('a', 8), 32, 'beyond the last: in proportion');
  t.equal(table.predict('a', 1), 10, 'below the first: no less');
  t.end();
});

t.test('an instance that was never measured is as the others are', (t) => {
  const table = new LatencyTable(frozen);
  t.ok(table.predict('a', 1) > 0, 'before anything is known');
  t.ok(table.predict('a', 8) > table.predict('a', 1), 'more pictures take longer');
  table.measured('b', 1, 4);
  table.measured('c', 1, 8);
  t.equal(table.predict('a', 1), 6);
  t.equal(table.predict('a', 8), 48);
  t.equal(table.idle('a'), 6);
  t.equal(table.cost('a', 1), 6);
  t.equal(table.has('a', 1), false);
  t.end();
});

t.test('a size that only served runs know of is forgotten without harm', (t) => {
  let nowMs = 0;
  const table = new LatencyTable(() => nowMs);
  table.measured('a', 1, 5); // the measurement was cut by time before it came to size 4
  table.record('a', 4, 18);
  t.equal(table.predict('a', 4), 18);
  nowMs = 30_001;
  for (const size of [1, 2, 4, 8]) {
    t.equal(table.predict('a', size), 5 * size, `size ${size}`);
    t.equal(table.expect('a', size), 5 * size);
    t.equal(table.cost('a', size), 5 * size);
  }
  t.end();
});

t.test('whatever was measured, run or not run for long, every answer is a finite time above 0', (t) => {
  const key = fc.constantFrom('a', 'b', '__proto__');
  const size = fc.oneof(
    fc.constantFrom(1, 2, 4, 8),
    fc.constantFrom(0, -1, 0.5, 3, 1e9, Number.NaN, Number.POSITIVE_INFINITY),
  );
  const ms = fc.oneof(
    fc.double({ min: 0, max: 1e4, noNaN: true }),
    fc.constantFrom(-1, 0, 1e-320, 1e300, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  );
  const step = fc.oneof(
    fc.record({ what: fc.constant('measured' as const), key, size, ms }),
    fc.record({ what: fc.constant('again' as const), key, ms }),
    fc.record({ what: fc.constant('record' as const), key, size, ms, times: fc.integer({ min: 1, max: 25 }) }),
    fc.record({ what: fc.constant('silence' as const), ms: fc.integer({ min: 0, max: 60_000 }) }),
  );
  const sound = (value: number) => Number.isFinite(value) && value > 0;
  const sizes = [1, 2, 3, 4, 8, 100, 0, Number.NaN];
  const total = (table: LatencyTable) =>
    ['a', 'b', '__proto__', 'never seen'].every(
      (k) =>
        sizes.every((n) => sound(table.predict(k, n)) && sound(table.expect(k, n)) && sound(table.cost(k, n))) &&
        sound(table.idle(k)) &&
        Number.isFinite(table.againMs(k)),
    );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let nowMs = 0;
      const table = new LatencyTable(() => nowMs);
      const take = (s: (typeof steps)[number]) => {
        if (s.what === 'measured') table.measured(s.key, s.size, s.ms);
        else if (s.what === 'again') table.measuredAgain(s.key, s.ms);
        else if (s.what === 'silence') nowMs += s.ms;
        else for (let n = 0; n < s.times; n++) table.record(s.key, s.size, s.ms);
      };
      const always = steps.every((s) => {
        const before = total(table);
        take(s);
        return before;
      });
      const after = total(table);
      nowMs += 30_001;
      return always && after && total(table) && latencySamplesSchema.safeParse(table.samples()).success;
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('what many engine threads measured is kept, and not more than can be read back', (t) => {
  const table = new LatencyTable(frozen);
  for (let n = 1; n <= 9 * 64; n++) {
    table.measured('a', 1, n);
    table.measuredAgain('a', n);
  }
  const back = LatencyTable.from(
    latencySamplesSchema.parse(table.samples()),
    frozen,
    againSamplesSchema.parse(table.againSamples()),
  );
  t.ok(Math.abs(back.predict('a', 1) - table.predict('a', 1)) <= 3, 'the high quantile');
  t.ok(Math.abs(back.cost('a', 1) - table.cost('a', 1)) <= 3, 'the median');
  const values = table.samples().a?.[1] as number[];
  t.same([values[0], values.at(-1)], [1, 9 * 64], 'both ends');
  t.end();
});

t.test('what a run takes less right after one of the same', (t) => {
  const table = new LatencyTable(frozen);
  for (const ms of [3, 2, 9]) table.measured('a', 1, ms);
  t.equal(table.againMs('a'), 0, 'not measured');
  for (const ms of [1, 7, 1.25]) table.measuredAgain('a', ms);
  t.equal(table.againMs('a'), 3 - 1.25);
  table.record('a', 1, 50);
  t.equal(table.againMs('a'), 1.75, 'whatever the load is');
  for (let i = 0; i < 9; i++) table.measuredAgain('a', 20);
  t.equal(table.againMs('a'), 0, 'never more');
  t.end();
});

t.test('the measurement goes to disk and comes back, what was served does not', (t) => {
  const table = new LatencyTable(frozen);
  for (const ms of [1.25, 3, 2]) table.measured('a', 4, ms);
  table.measured('a', 1, 2);
  table.measuredAgain('a', 1.5);
  const text = JSON.stringify(table.samples());
  const back = LatencyTable.from(latencySamplesSchema.parse(JSON.parse(text)), frozen, table.againSamples());
  t.equal(back.predict('a', 4), table.predict('a', 4));
  t.equal(back.againMs('a'), table.againMs('a'));
  back.record('a', 4, 50);
  t.same(back.samples(), table.samples());
  t.same(back.againSamples(), { a: [1.5] });
  t.end();
});
