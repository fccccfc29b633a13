import t from 'tap';
import { LatencyTable, latencySamplesSchema, RecentQuantile } from '../../src/scheduler/latency.js';

t.test('a high quantile of what was measured', (t) => {
  const table = new LatencyTable();
  for (let ms = 1; ms <= 11; ms++) table.record('a', 1, ms);
  t.equal(table.predict('a', 1), 10);
  t.end();
});

t.test('old values are forgotten, so that a noisy minute passes', (t) => {
  const table = new LatencyTable();
  for (let i = 0; i < 48; i++) table.record('a', 1, 100);
  t.equal(table.predict('a', 1), 100);
  for (let i = 0; i < 48; i++) table.record('a', 1, 5);
  t.equal(table.predict('a', 1), 5);
  t.end();
});

t.test('a size that was not measured lies between its neighbours', (t) => {
  const table = new LatencyTable();
  table.record('a', 2, 10);
  table.record('a', 4, 16);
  t.equal(table.predict('a', 3), 13);
  t.equal(table.predict('a', 8), 32, 'beyond the last: in proportion');
  t.equal(table.predict('a', 1), 10, 'below the first: no less');
  t.end();
});

t.test('an instance that was never measured cannot be predicted', (t) => {
  t.throws(() => new LatencyTable().predict('a', 1), /no latency was measured for a/);
  t.end();
});

t.test('samples go to disk and come back', (t) => {
  const table = new LatencyTable();
  for (const ms of [1.25, 3, 2]) table.record('a', 4, ms);
  const text = JSON.stringify(table.samples());
  const again = LatencyTable.from(latencySamplesSchema.parse(JSON.parse(text)));
  t.equal(again.predict('a', 4), table.predict('a', 4));
  t.same(again.samples(), table.samples());
  t.end();
});

t.test('no value, no quantile', (t) => {
  t.equal(new RecentQuantile(0.5).value, undefined);
  t.end();
});
