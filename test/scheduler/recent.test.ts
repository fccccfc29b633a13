import t from 'tap';
import { quantile, Recent } from '../../src/scheduler/recent.js';

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

t.test('a quantile is the smallest value that so large a share of all does not exceed', (t) => {
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
  t.equal(quantile([], 0.5), undefined);
  t.equal(quantile([7], 0.95), 7);
  t.equal(quantile([220, 300], 0.95), 300);
  t.equal(quantile([220, 300], 0.5), 220, 'half of two is one');
  t.equal(quantile(upTo(3), 0.5), 2);
  t.equal(quantile(upTo(20), 0.95), 19);
  t.equal(quantile(upTo(21), 0.95), 20);
  t.equal(quantile(upTo(100), 0.07), 7, 'though 0.07 x 100 is more than 7 in binary');
  t.equal(quantile(upTo(9), 0), 1);
  t.equal(quantile(upTo(9), 1), 9);
  t.end();
});
