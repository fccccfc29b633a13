/** The pure parts of bench/load, its loops, and clients that disconnect early. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { foreignCpus, hostTicks, MOST_FOREIGN_CPUS } from '../../bench/load/foreign.js';
import type { Job, RequestRecord } from '../../bench/load/job.js';
import { answerIn, leave } from '../../bench/load/leaver.js';
import { checkout, interleave, others, select } from '../../bench/load/participants.js';
import { processTicks, treeCpuMs } from '../../bench/load/processes.js';
import { halves } from '../../bench/load/profile.js';
import { deadlineFor, shuffled } from '../../bench/load/setup.js';
import { tableOf } from '../../bench/load/table.js';
import { findings, isVoid, type Run } from '../../bench/load/verdict.js';
import { read } from '../../src/load/answer.js';
import { Client } from '../../src/load/client.js';
import { closedLoop, openLoop } from '../../src/load/open-loop.js';
import { seeded } from '../../src/load/random.js';
import { quantiles } from '../../src/load/statistics.js';
import { type Summary, summarise } from '../../src/load/summary.js';

const sent = { scheduledMs: 0, lagMs: 0 };
const answer = (record: Partial<RequestRecord> = {}): RequestRecord => ({
  ...sent,
  status: 200,
  reason: 'ok',
  latencyMs: 9,
  instance: 'full',
  share: 1,
  met: true,
  totalMs: 8,
  correct: true,
  ...record,
});
const refusal = (status: number, reason: string): RequestRecord => ({ ...sent, status, reason, latencyMs: 1 });
const PROFILE = { full: 0.9, cheap: 0.8 };

t.test('half of the pictures profile each instance and the other half is sent', async (t) => {
  const reference = {
    model: 'm',
    modelVersion: 'v',
    files: ['test/a/1', 'test/a/2', 'test/b/3', 'test/b/4'],
    labels: [0, 0, 1, 1],
    instances: { full: { predicted: [0, 1, 1, 0], margins: [] }, cheap: { predicted: [1, 0, 1, 1], margins: [] } },
  };
  t.same(halves(reference), {
    profile: { full: 1, cheap: 0.5 },
    replay: [
      { file: 'test/a/2', label: 0 },
      { file: 'test/b/4', label: 1 },
    ],
  });
});

t.test('shuffling keeps every picture and is repeated by its seed', async (t) => {
  const values = Array.from({ length: 50 }, (_, n) => n);
  const order = shuffled(values, seeded(7));
  t.not(order.join(), values.join());
  t.same(
    order.toSorted((a, b) => a - b),
    values,
  );
  t.same(shuffled(values, seeded(7)), order);
});

t.test('the deadline leaves time for 40 pictures, or 30 ms', async (t) => {
  t.equal(deadlineFor(5, 1000), 45);
  t.equal(deadlineFor(5, 4000), 35);
});

t.test('a summary counts every arrival once', async (t) => {
  const records = [
    answer(),
    answer({ instance: 'cheap', share: 0.5, correct: false }),
    answer({ met: false, totalMs: 60, latencyMs: 61 }), // late
    answer({ latencyMs: 60 }), // in time by the service's clock only
    refusal(503, 'overloaded'),
    refusal(422, 'infeasible-budget'),
    refusal(504, 'deadline-exceeded'), // admitted
    refusal(0, 'ECONNRESET'),
  ];
  const s = summarise(records, PROFILE, 50);
  t.equal(s.arrivals, 8);
  t.equal(s.attainment, 3 / 8);
  t.equal(s.attainmentClient, 2 / 8);
  t.equal(s.uProfiled, (0.9 + 0.8 + 0.9) / 8);
  t.equal(s.uMeasured, 2 / 8, 'neither wrong nor late answers count');
  t.equal(s.late, 1);
  t.same(s.refused, { overloaded: 1, 'infeasible-budget': 1 });
  t.same(s.failed, { 'deadline-exceeded': 1, ECONNRESET: 1 });
  t.equal(s.promiseKept, 3 / 6);
  t.equal(s.meanShare, 3.5 / 4);
  t.same(s.instances, { full: 3, cheap: 1 });
  t.equal(s.deliveredAccuracy.measured, 3 / 4);
  t.notOk(s.void);
});

t.test(
  'the time a request was sent too late counts against the client, and too much of it voids the run',
  async (t) => {
    t.equal(summarise([answer({ lagMs: 1.5, latencyMs: 49 })], PROFILE, 50).attainmentClient, 0);
    t.ok(summarise([answer({ lagMs: 2.1 })], PROFILE, 50).void);
  },
);

t.test('an instance without a profile is an error, not accuracy 0', async (t) => {
  t.throws(() => summarise([answer({ instance: 'new' })], PROFILE, 50), /no accuracy of new/);
});

t.test('quantiles are by nearest rank', async (t) => {
  const values = Array.from({ length: 1000 }, (_, n) => 1000 - n);
  t.same(quantiles(values), { p50: 500, p90: 900, p99: 990, p999: 999 });
  t.same(quantiles([3]), { p50: 3, p90: 3, p99: 3, p999: 3 });
});

const run = (trace: string, participant: string, figures: Partial<Summary>, bursty = false): Run => ({
  trace,
  bursty,
  participant,
  summary: { ...summarise([answer()], PROFILE, 50), ...figures },
});
const failed = (runs: Run[]) => findings(runs, 0.93).flatMap((f) => (f.holds ? [] : [f.what]));

t.test('the verdict names each figure that does not hold', async (t) => {
  t.same(failed([run('poisson 0.8', 'dimmer', { attainment: 0.996, promiseKept: 0.9991 })]), []);
  t.match(failed([run('poisson 0.8', 'dimmer', { attainment: 0.994, promiseKept: 0.998 })]), [
    /attainment/,
    /promises/,
  ]);
  t.match(failed([run('gamma cv2=8 0.7', 'dimmer', { attainment: 0.94 })]), [/attainment at least 95/]);
  t.match(failed([run('poisson 0.2', 'dimmer', { deliveredAccuracy: { profiled: 0.927, measured: 1 } })]), [
    /accuracy/,
  ]);
});

t.test('the service must not be below the best of all others by more than the margin', async (t) => {
  const ours = run('x', 'dimmer', { uProfiled: 0.9 });
  t.same(failed([ours, run('x', 'infaas', { uProfiled: 0.9015 })]), []);
  t.match(failed([ours, run('x', 'infaas', { uProfiled: 0.9025 }), run('x', 'maxacc', { uProfiled: 0.1 })]), [
    /U at least/,
  ]);
  t.match(failed([run('x', 'infaas', { uProfiled: 0.9 })]), [/ours ran/]);
});

t.test('on bursty traces the service must be above the best fixed instance by more than its spread', async (t) => {
  const all = (low: number) => [
    run('b', 'dimmer', { uProfiled: low }, true),
    run('b', 'dimmer', { uProfiled: 0.92 }, true),
    run('b', 'fixed:cheap', { uProfiled: 0.9 }, true),
  ];
  t.same(failed(all(0.915)), []);
  t.match(failed(all(0.9)), [/above the best fixed/]);
});

t.test('another checkout is compared in pairs, and less strictly where the load changes', async (t) => {
  const pairs = (trace: string, ours: number) =>
    [0.95, 0.94, 0.93].flatMap((before) => [
      run(trace, 'dimmer', { uProfiled: before + ours, attainment: 1, promiseKept: 1 }),
      run(trace, 'checkout:before', { uProfiled: before }),
    ]);
  t.same(failed(pairs('poisson 0.5', -0.004)), []);
  t.match(failed(pairs('poisson 0.5', -0.006)), [/U at least that of checkout:before less 0.50 %/]);
  t.same(failed(pairs('day 0.5', -0.019)), []);
  t.match(failed(pairs('day 0.5', -0.021)), [/U at least that of checkout:before less 2.00 %/]);
  t.same(checkout('/somewhere/before/').name, 'checkout:before');
});

t.test('the table has means over the runs of each participant', async (t) => {
  const [row, ...more] = tableOf([run('x', 'dimmer', { uProfiled: 0.9 }), run('x', 'dimmer', { uProfiled: 0.8 })]);
  t.same(more, []);
  t.match(row, { trace: 'x', participant: 'dimmer', runs: 2, 'U profiled %': 85 });
});

t.test('runs of the service are spread among the others, which keep their order', async (t) => {
  t.equal(interleave('O', 3, ['a', 'b', 'c', 'd', 'e']).join(''), 'OabOcOde');
  t.equal(interleave('O', 2, []).join(''), 'OO');
});

t.test('participants are selected by name, and those that need the best fixed instance come after it', async (t) => {
  const all = others(['full', 'cheap']);
  t.same(
    all.slice(0, 2).map((p) => p.name),
    ['fixed:full', 'fixed:cheap'],
  );
  t.ok(all.findIndex((p) => p.onBestFixed) > 1);
  t.same(
    select(all, ['fixed', 'infaas', 'dimmer']).map((p) => p.name),
    ['fixed:full', 'fixed:cheap', 'infaas'],
  );
  t.throws(() => select(all, ['nobody']), /no contender nobody; there is dimmer, fixed, fixed:full/);
});

t.test('an answer is read for its instance and whether it is right', async (t) => {
  const body = JSON.stringify({
    budget: { met: true },
    results: [
      {
        predictions: [{ index: 3 }],
        model_instance: { id: 'full' },
        cost: { share: 1 },
        timing: { totalMs: 5 },
      },
    ],
  });
  t.same(read(body, 3), { reason: 'ok', instance: 'full', share: 1, met: true, totalMs: 5, correct: true });
  t.equal(read(body, 4).correct, false);
  t.same(read('{"type":"urn:dimmer:problem:overloaded"}', 3), { reason: 'overloaded' });
});

t.test('what a client received before it disconnected is an answer only if it is complete', async (t) => {
  const body = '{"type":"urn:dimmer:problem:overloaded"}';
  const head = `HTTP/1.1 503 Service Unavailable\r\ncontent-length: ${body.length}\r\n\r\n`;
  t.same(answerIn(head + body), { status: 503, reason: 'overloaded' });
  t.same(answerIn(head + body.slice(1)), { status: 0, reason: 'left' });
  t.same(answerIn(''), { status: 0, reason: 'left' });
});

t.test('the open loop sends on time, whether or not there are answers', async (t) => {
  const lags: number[] = [];
  const startMs = performance.now();
  await openLoop([0, 5, 5, 40], (index, lagMs) => {
    lags[index] = lagMs;
  });
  t.equal(lags.length, 4);
  t.ok(lags.every((lag) => lag >= 0));
  t.ok(performance.now() - startMs >= 40);
});

t.test('the closed loop keeps the given number of requests in flight', async (t) => {
  let [going, most, all] = [0, 0, 0];
  await closedLoop(3, 30, async () => {
    going += 1;
    all += 1;
    most = Math.max(most, going);
    await sleep(2);
    going -= 1;
  });
  t.equal(most, 3);
  t.equal(going, 0);
  t.ok(all > 3);
});

t.test('a client reads a refusal that comes before its body was read', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(503, { Connection: 'close' }).end('{"type":"urn:dimmer:problem:overloaded"}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => server.close());
  const file = join(t.testdir({ picture: Buffer.alloc(4_000_000) }), 'picture');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const job = { url, path: '/', headers: {}, pictures: [{ file, label: 0 }], timeoutMs: 5000 };
  const client = new Client(job as unknown as Job);
  t.teardown(() => client.close());
  for (const answer of await Promise.all([0, 1, 2].map((index) => client.post(index)))) {
    t.match(answer, { status: 503, reason: 'overloaded' });
    t.ok((answer.headMs as number) <= answer.latencyMs);
  }
  t.equal(client.mostInFlight, 3);
});

t.test('clients disconnect at the moment that the job says', async (t) => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    request.on('close', () => seen.push(request.complete ? 'whole' : 'broken'));
    request.on('error', () => {});
    request.resume().on('end', () => {
      if (request.url === '/quick') response.end('{"type":"urn:dimmer:problem:overloaded"}');
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const job = (path: string) => ({ url, path, headers: {} }) as Job;
  const body = Buffer.alloc(100);
  t.match(await leave(job('/slow'), body, { moment: 'before', afterMs: 20 }), { status: 0, reason: 'left' });
  t.same(seen, []);
  t.match(await leave(job('/slow'), body, { moment: 'upload', afterMs: 50 }), { status: 0, reason: 'left' });
  t.match(await leave(job('/slow'), body, { moment: 'waiting', afterMs: 50 }), { status: 0, reason: 'left' });
  t.match(await leave(job('/quick'), body, { moment: 'waiting', afterMs: 100 }), { status: 200, reason: 'overloaded' });
  for (let n = 0; n < 100 && seen.length < 3; n++) await sleep(10);
  t.same(seen, ['broken', 'whole', 'whole']);
});

t.test('CPU use of others is what neither the service nor the generator took', async (t) => {
  t.equal(hostTicks('cpu  10 20 30 1000 500 1 2 3 99 99\ncpu0 5'), 66);
  t.equal(processTicks(`7 (a (b) c) S ${'1 '.repeat(10)}40 2 7 1 9`), 50, 'children that have ended count too');
  if (process.platform === 'linux') t.ok(treeCpuMs(process.pid) > 0);
  const [from, to] = [
    { atMs: 0, allMs: 0, ownMs: 0 },
    { atMs: 1000, allMs: 1900, ownMs: 1200 },
  ];
  t.equal(foreignCpus(from, to, 0.2), 0.5);
  t.equal(foreignCpus(undefined, to, 0.2), undefined);
});

t.test('a run does not count if the generator lagged or the host was busy', async (t) => {
  t.notOk(isVoid({ summary: { void: false }, foreignCpus: MOST_FOREIGN_CPUS }));
  t.notOk(isVoid({ summary: { void: false }, foreignCpus: undefined }), 'where it cannot be told');
  t.ok(isVoid({ summary: { void: true }, foreignCpus: 0 }));
  t.ok(isVoid({ summary: { void: false }, foreignCpus: 0.5 }));
});
