import t from 'tap';
import { Recent } from '../../src/scheduler/recent.js';

t.test('the median of the last 48 values, of the last 30 s', (t) => {
  let nowMs = 0;
  const recent = new Recent(() => nowMs);
  t.equal(recent.median, undefined, 'no value, no quantile');
  for (let i = 0; i < 60; i++) recent.add(i < 12 ? 1000 : 3);
  t.equal(recent.fresh.length, 48);
  t.equal(recent.median, 3);
  nowMs = 20_000;
  recent.add(9);
  nowMs = 31_000;
  t.same(recent.fresh, [9], 'each value ages by itself');
  nowMs = 50_001;
  t.same(recent.fresh, []);
  t.end();
});
