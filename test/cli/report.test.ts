/** Whether a result can be believed, and how figures and words from elsewhere are written. */
import t from 'tap';
import { type Played, reportOf } from '../../src/cli/report.js';
import { count, number, percent, printable, tableText } from '../../src/cli/text.js';
import type { TimedAnswer } from '../../src/load/answer.js';
import { CONNECTIONS } from '../../src/load/client.js';
import { MOST_LAG_MS } from '../../src/load/summary.js';

const SETUP = {
  url: 'http://localhost/',
  model: 'pets',
  modelVersion: '0',
  budget: 'latency=20',
  instance: null,
  ratePerS: 1,
  seconds: 2,
  seed: 1,
  pictures: 1,
};
const KNOWN = { profile: { full: 0.9 }, labelled: true, latencyMs: 20 };
const answer = (facts: Partial<TimedAnswer> = {}): TimedAnswer => ({
  scheduledMs: 0,
  lagMs: 0,
  status: 200,
  reason: 'ok',
  latencyMs: 10,
  instance: 'full',
  share: 1,
  met: true,
  totalMs: 8,
  correct: true,
  ...facts,
});
const report = (records: TimedAnswer[], mostInFlight = 1) =>
  reportOf(SETUP, { records, mostInFlight } satisfies Played, KNOWN, {});

t.test('what was sent late is late, and a client that lags makes its result doubtful', async (t) => {
  const fine = report([answer(), answer({ correct: false })]);
  t.same(fine.doubts, []);
  t.same(fine.inTime, { client: 1, service: 1 });
  t.equal(fine.goodputPerS, 1);
  t.equal(fine.accuracy.measured, 0.5);
  const lagging = report([answer(), answer({ lagMs: 11 })]);
  t.same(lagging.inTime, { client: 0.5, service: 1 }, 'the service knows nothing of it');
  t.equal(lagging.latencyMs.client.p99, 21);
  t.match(lagging.doubts, [/^this client lagged: .* more than 11\.0 ms late/]);
  t.same(report([answer({ lagMs: MOST_LAG_MS })]).doubts, [], 'up to that much timers do by themselves');
});

t.test('a client without free connections makes its result doubtful', async (t) => {
  t.same(report([answer()], CONNECTIONS).doubts, []);
  t.match(report([answer()], CONNECTIONS + 1).doubts, [/waited at once, more than this client has connections/]);
});

t.test('an answer that cannot be read is a failure', async (t) => {
  const strange = report([answer(), { scheduledMs: 1, lagMs: 0, status: 200, latencyMs: 1, reason: 'unknown' }]);
  t.same(strange.failed, { unknown: 1 });
  t.same(strange.instances, { full: 1 });
});

t.test('figures', async (t) => {
  t.equal(count(1719472544), '1,719,472,544');
  t.equal(percent(0.30927), '30.93 %');
  t.equal(percent(Number.NaN), '-');
  t.equal(number(undefined, 1), '-');
  t.equal(number(2.25, 1), '2.3');
});

t.test('columns are as wide as they need to be, and wide letters count twice', async (t) => {
  const columns = [{ head: 'a' }, { head: 'bb', right: true }];
  t.equal(
    tableText(columns, [
      ['x', '1'],
      ['猫', '100'],
    ]),
    'a    bb\nx     1\n猫  100\n',
  );
  t.equal(tableText([{}, { right: true }], [['x', '1']]), 'x  1\n', 'no line for heads that are not there');
});

t.test('control characters do not reach the terminal', async (t) => {
  t.equal(printable('a\u001b[2Jb\rc\u009bd\u202ee\u2028f'), 'a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffdf');
  t.equal(printable('Zürich 猫'), 'Zürich 猫');
});
