import t from 'tap';
import { TUNING } from '../../src/plan/tuning.js';
import { Margin } from '../../src/scheduler/margin.js';

/** The margin after a number of outcomes, of which every n-th missed its deadline. */
function after(outcomes: number, everyNth: number): number {
  const margin = new Margin(TUNING);
  for (let n = 1; n <= outcomes; n++) margin.learn(n % everyNth === 0);
  return margin.factor;
}

t.test('few deadline misses do not raise the margin; with many it grows up to its bound', (t) => {
  t.equal(new Margin(TUNING).factor, 1);
  t.equal(after(1000, 2000), 1);
  t.ok(after(400, 10) > 1.2);
  t.ok(after(200, 10) < after(400, 10));
  t.ok(after(100_000, 1) <= 4);
  t.end();
});

t.test('the margin shrinks while pictures are in time', (t) => {
  const margin = new Margin(TUNING);
  for (let n = 0; n < 10; n++) margin.learn(true);
  const high = margin.factor;
  for (let n = 0; n < 5000; n++) margin.learn(false);
  t.ok(high > 1);
  t.equal(margin.factor, 1);
  t.end();
});
