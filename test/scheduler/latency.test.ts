import t from 'tap';
import { LatencyTable, latencySamplesSchema } from '../../src/scheduler/latency.js';

const frozen = () => 0;

t.test('a high quantile of what was measured at start', (t) => {
  const table = new LatencyTable(frozen);
  for (let ms = 11; ms >= 1; ms--) table.measured('a', 1, ms);
  t.equal(table.predict('a', 1), 10);
  t.end();
});

t.test('recent runs take the place of the measurement, once there are enough', (t) => {
  const table = new LatencyTable(frozen);
  for (let i = 0; i < 16; i++) table.measured('a', 1, 5);
  table.record('a', 1, 300);
  t.equal(table.predict('a', 1), 5, 'one slow run decides nothing');
  for (let i = 0; i < 8; i++) table.record('a', 1, 100);
  t.equal(table.predict('a', 1), 100);
  for (let i = 0; i < 48; i++) table.record('a', 1, 7);
  t.equal(table.predict('a', 1), 7, 'old values are forgotten');
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

t.test('an instance that was never measured cannot be predicted', (t) => {
  t.throws(() => new LatencyTable(frozen).predict('a', 1), /no latency was measured for a/);
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
