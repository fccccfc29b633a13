import t from 'tap';
import { Arrivals } from '../../src/policy/arrivals.js';

t.test('pictures per ms over the last 100 ms', (t) => {
  const arrivals = new Arrivals();
  t.equal(arrivals.perMs(0), 0);
  arrivals.add(0, 3);
  arrivals.add(50);
  t.equal(arrivals.perMs(50), 0.04);
  t.equal(arrivals.perMs(99), 0.04);
  t.equal(arrivals.perMs(100), 0.01, 'those at 0 are over');
  t.equal(arrivals.perMs(1000), 0);
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
