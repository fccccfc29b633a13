import t from 'tap';
import { Arrivals } from '../../src/policy/arrivals.js';

t.test('pictures per ms over the last 100 ms', (t) => {
  const arrivals = new Arrivals();
  t.equal(arrivals.perMs(0), 0);
  arrivals.add(0, 3);
  arrivals.add(150);
  t.equal(arrivals.perMs(150), 0.01, 'those at 0 are over');
  arrivals.add(240, 2);
  t.equal(arrivals.perMs(240), 0.03);
  t.equal(arrivals.perMs(1000), 0);
  t.end();
});

t.test('until 100 ms have passed, over the time since the first', (t) => {
  const arrivals = new Arrivals();
  arrivals.add(1000);
  t.equal(arrivals.perMs(1000), 0, 'one alone is no rate');
  arrivals.add(1002, 3);
  t.equal(arrivals.perMs(1002), 0.06, 'over 50 ms at least');
  arrivals.add(1060, 3);
  t.equal(arrivals.perMs(1060), 0.1);
  t.equal(arrivals.perMs(1080), 0.075);
  t.end();
});

t.test('a long life forgets as it goes', (t) => {
  const arrivals = new Arrivals();
  for (let ms = 0; ms < 20_000; ms++) {
    arrivals.add(ms);
    if (ms % 500 === 499) t.equal(arrivals.perMs(ms), 1);
  }
  t.end();
});
