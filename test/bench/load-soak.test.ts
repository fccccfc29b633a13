/** The comparison in bench/soak of answers that clients read with requests that the service counted. */
import t from 'tap';
import type { RequestRecord } from '../../bench/load/job.js';
import { parseMetrics, since, total } from '../../bench/load/metrics.js';
import { accounts } from '../../bench/soak/accounts.js';
import { slope } from '../../bench/soak/memory.js';

const sent = { scheduledMs: 0, lagMs: 0 };
const answer = (totalMs: number, met: boolean): RequestRecord => ({
  ...sent,
  status: 200,
  reason: 'ok',
  latencyMs: totalMs + 1,
  totalMs,
  met,
});
const refusal = (status: number, reason: string): RequestRecord => ({ ...sent, status, reason, latencyMs: 1 });

const METRICS = [
  '# HELP dimmer_requests_total Requests',
  'dimmer_requests_total{status="200",reason="ok"} 2',
  'dimmer_requests_total{status="503",reason="overloaded"} 1',
  'dimmer_requests_total{status="499",reason="client-gone"} 1',
  'dimmer_promises_total{model="m",kept="true",strict="true"} 2',
  'nodejs_heap_size_used_bytes 1e6',
].join('\n');

t.test('metrics are read with their labels and can be counted from a reading on', async (t) => {
  const samples = parseMetrics(METRICS);
  t.equal(total(samples, 'dimmer_requests_total'), 4);
  t.equal(total(samples, 'dimmer_requests_total', { status: '503' }), 1);
  t.equal(total(samples, 'nodejs_heap_size_used_bytes'), 1e6);
  const later = parseMetrics(METRICS.replace('"ok"} 2', '"ok"} 5'));
  t.equal(total(since(samples, later), 'dimmer_requests_total'), 3);
});

const inTime = answer(8, true);
const gone = { ...refusal(0, 'left'), left: 'waiting' as const };

t.test('accounts agree if each counted request was read or belongs to a client that disconnected', async (t) => {
  const found = accounts([inTime, inTime, refusal(503, 'overloaded'), gone], parseMetrics(METRICS), 50);
  t.same(found.wrong, []);
  t.same(found.left, { waiting: 1 });
  t.equal(found.countedForLeft, 1);
});

t.test('accounts report missing and surplus requests, and late answers that claim to be in time', async (t) => {
  const samples = parseMetrics(METRICS);
  const wrong = (...records: RequestRecord[]) => accounts(records, samples, 50).wrong.join('; ');
  const upload = { ...gone, left: 'upload' as const };
  t.match(wrong(inTime, inTime, refusal(503, 'overloaded'), gone, upload), /that left: 2 sent, 1 counted/);
  t.match(wrong(inTime, refusal(503, 'overloaded'), gone), /that left: 1 sent, 2 counted/);
  t.match(wrong(inTime, inTime, inTime), /200 ok: read more often than counted/);
  t.match(wrong(refusal(0, 'ECONNRESET')), /1 clients stayed and got no answer: ECONNRESET/);
  t.match(wrong(inTime, answer(60, true)), /1 answers say the wrong thing/);
  t.match(wrong(inTime, answer(60, false)), /2 promises counted as kept, 1 were/);
});

t.test('a slope is per hour, with its error', async (t) => {
  const line = [0, 10, 20, 30].map((x) => ({ x, y: 100 + x / 360 }));
  const { perHour, error } = slope(line);
  t.ok(Math.abs(perHour - 10) < 1e-6);
  t.ok(error < 1e-6);
  const noisy = slope(line.map(({ x, y }, n) => ({ x, y: y + (n % 2) })));
  t.ok(noisy.error > 1);
  t.same(slope([{ x: 1, y: 1 }]), { perHour: Number.NaN, error: Number.NaN });
});
