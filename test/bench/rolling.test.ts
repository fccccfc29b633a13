/** The rolling restart: what counts as failed, and how HAProxy is asked. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { configurationOf, figuresOf } from '../../bench/rolling/haproxy.js';
import { type Restart, verdictOf } from '../../bench/rolling/verdict.js';
import { temporaryFolder } from '../support/app.js';

const answer = (status: number, reason: string, scheduledMs = 0) => ({
  status,
  reason,
  scheduledMs,
  lagMs: 0,
  latencyMs: 4,
});
const restart = (replica: string, more: Partial<Restart> = {}): Restart => ({
  replica,
  atMs: 0,
  endedMs: 5100,
  exitCode: 0,
  backMs: 3000,
  ...more,
});
const DEMANDS = { leastRequests: 2, drainTimeoutMs: 20_000, replicas: ['a', 'b'] };

t.test('it holds if every request was answered and every replica ended by itself', (t) => {
  const fine = verdictOf([answer(200, 'ok'), answer(200, 'ok', 9000)], [restart('a'), restart('b')], DEMANDS);
  t.match(fine, { requests: 2, failed: 0, restartsUnderLoad: 2, outcomes: { '200 ok': 2 }, failures: [], wrong: [] });
  t.equal(fine.latencyMs.p50, 4);
  t.end();
});

t.test('anything else is named', (t) => {
  const records = [
    answer(200, 'ok'),
    answer(503, 'draining', 1200.4),
    answer(0, 'ECONNRESET', 7),
    answer(200, 'not-json', 60_000),
  ];
  const late = restart('b', { atMs: 59_000 });
  const restarts = [restart('a', { exitCode: null }), restart('a', { endedMs: 20_001 }), late];
  const { failed, failures, wrong } = verdictOf(records, restarts, { ...DEMANDS, leastRequests: 5 });
  t.equal(failed, 3);
  t.same(failures[0], { atMs: 1200, outcome: '503 draining' });
  for (const expected of [
    /3 requests failed/,
    /only 4 requests/,
    /b was never restarted while/,
    /a ended with status null/,
    /20001 ms to end/,
  ]) {
    t.ok(
      wrong.some((text) => expected.test(text)),
      String(expected),
    );
  }
  t.equal(wrong.length, 5);
  t.end();
});

t.test('the statistics of HAProxy are read by their names', (t) => {
  const csv = `# pxname,svname,stot,status,
service,FRONTEND,9,OPEN,
replicas,replica1,4,UP,
replicas,replica2,5,DOWN 1/2,
replicas,BACKEND,9,UP,
`;
  t.same(figuresOf(csv), { replica1: { up: true, sessions: 4 }, replica2: { up: false, sessions: 5 } });
  t.throws(() => figuresOf('<html>'), /no pxname/);
  t.end();
});

const NO_HAPROXY = spawnSync('haproxy', ['-v']).error ? 'haproxy is not installed: apt-get install haproxy' : false;

t.test('HAProxy reads its configuration', { skip: NO_HAPROXY }, (t) => {
  const file = join(temporaryFolder(t), 'haproxy.cfg');
  const replicas = [{ name: 'replica1', port: 8302 }];
  writeFileSync(file, configurationOf({ port: 8300, replicas, checkMs: 500, fall: 2 }));
  const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' });
  t.equal(status, 0, stderr);
  t.end();
});
