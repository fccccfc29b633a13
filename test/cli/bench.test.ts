/** `dimmer bench` against services whose answers are known: every request is accounted for. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import type { z } from 'zod';
import { benchDocument, failureDocument } from '../../src/cli/shapes.js';
import { poisson } from '../../src/load/arrivals.js';
import { seeded, seedFor } from '../../src/load/random.js';
import { quantiles } from '../../src/load/statistics.js';
import { readyApp, temporaryFolder } from '../support/app.js';
import { dimmer, documentOf, fakeAnswer, fakeProblem, fakeService, type Said, send } from './support.js';

type Report = z.infer<typeof benchDocument>;
const reportOf = (said: Said): Report => benchDocument.parse(documentOf(said));
/** This host may be busy; then the client lags, which is for it to say and not for this test to judge. */
const statusOf = ({ doubts, missed }: Report) => (doubts.length + missed.length > 0 ? 1 : 0);

const RATE = ['--rate', '150', '--seconds', '1'];
/** When the client of these options should send, in ms. */
const timetable = (seed: number) => poisson(0.15, 1000, seeded(seedFor(seed, 'arrivals')));

t.test('refusals, failures, late answers and instances add up to what the service sent', async (t) => {
  const sent: Record<string, number> = {};
  const count = (what: string) => {
    sent[what] = (sent[what] ?? 0) + 1;
  };
  const url = await fakeService(t, (request, _body, response, n) => {
    if (request.headers['inference-budget'] !== 'latency=10000') count('wrong budget');
    const kind = ['full', 'cheap', 'late', 'overloaded', 'expired', 'page', 'cut'][n % 7] as string;
    count(kind);
    if (kind === 'full') send(response, 200, fakeAnswer('full'));
    else if (kind === 'cheap') send(response, 200, fakeAnswer('p01-r500'));
    else if (kind === 'late') setTimeout(() => send(response, 200, fakeAnswer('full', false)), 30);
    else if (kind === 'overloaded') send(response, 503, fakeProblem('overloaded', 503));
    else if (kind === 'expired') send(response, 504, fakeProblem('deadline-exceeded', 504));
    else if (kind === 'page') send(response, 502, '<html>bad gateway</html>');
    else response.destroy();
  });
  const said = await dimmer(['bench', url, ...RATE, '--latency', '10000', '--json']);
  const report = reportOf(said);
  const n = (what: string) => sent[what] ?? 0;
  const all = timetable(1).length;
  t.equal(said.status, statusOf(report));
  t.equal(report.requests, all);
  t.equal(
    Object.values(sent).reduce((a, b) => a + b, 0),
    all,
    'each was sent once',
  );
  t.equal(n('wrong budget'), 0);
  t.same(report.instances, { full: n('full') + n('late'), 'p01-r500': n('cheap') });
  t.same(report.refused, { overloaded: n('overloaded') });
  const { 'deadline-exceeded': expired, 'not-json': page, ...cut } = report.failed;
  t.equal(expired, n('expired'));
  t.equal(page, n('page'));
  t.equal(
    Object.values(cut).reduce((a, b) => a + b, 0),
    n('cut'),
    Object.keys(cut).join(),
  );
  const answers = n('full') + n('cheap') + n('late');
  t.equal(report.inTime.service, (n('full') + n('cheap')) / all);
  t.equal(report.inTime.client, answers / all, 'nothing took ten seconds');
  t.equal(report.goodputPerS, answers);
  t.equal(report.meanCost, (n('full') + n('late') + 0.25 * n('cheap')) / answers);
  t.equal(report.accuracy.measured, null, 'nobody says what the examples are');
  t.ok((report.accuracy.ofInstances ?? 0) > 0.8 && (report.accuracy.ofInstances ?? 1) < 0.9);
  t.equal(report.latencyMs.service.p50, 5);
  t.ok((report.latencyMs.client.p99 ?? 0) >= 29, 'the late ones, whose timer may come a ms early');
});

t.test('the loop is open: all is sent though nothing is answered, and waiting counts from the timetable', async (t) => {
  const times = timetable(7);
  const held: ServerResponse[] = [];
  const url = await fakeService(t, (_request, _body, response) => {
    held.push(response);
    if (held.length === times.length) for (const one of held) send(one, 200, fakeAnswer('full'));
  });
  const report = reportOf(await dimmer(['bench', url, ...RATE, '--seed', '7', '--json']));
  t.equal(report.requests, times.length);
  t.equal(report.mostInFlight, times.length);
  const last = times.at(-1) as number;
  // The answers came after the last request was sent, so each took at least from its time to that of the last one.
  const { p50 } = quantiles(times.map((at) => last - at));
  t.ok((report.latencyMs.client.p50 ?? 0) >= p50 - 1, 'less a ms, by which clocks differ');
});

t.test('accuracy is that of the answers, where folders say what is right', async (t) => {
  const data = temporaryFolder(t);
  for (const label of ['cat', 'dog']) {
    mkdirSync(join(data, label));
    for (const n of [1, 2, 3]) writeFileSync(join(data, label, `${n}.png`), label);
    writeFileSync(join(data, label, 'notes.txt'), 'no picture');
  }
  const sent: string[] = [];
  const url = await fakeService(t, (_request, body, response) => {
    sent.push(body.toString());
    send(response, 200, fakeAnswer('full')); // says cat to all
  });
  const report = reportOf(await dimmer(['bench', url, ...RATE, '--data', data, '--json']));
  t.equal(report.pictures, 6);
  t.same([...new Set(sent)].sort(), ['cat', 'dog']);
  t.equal(report.accuracy.measured, sent.filter((s) => s === 'cat').length / sent.length);
});

t.test('folders that are no labels, or hold nothing, are said before anything is sent', async (t) => {
  const sent: string[] = [];
  const url = await fakeService(t, (request) => sent.push(request.url ?? ''));
  const strange = temporaryFolder(t);
  mkdirSync(join(strange, 'n02123045'));
  const cases: [string, RegExp][] = [
    [
      strange,
      /these folders are no labels of the family: n02123045\n.*one folder for each label, named like it: cat, dog/,
    ],
    [temporaryFolder(t), /it holds no picture/],
    ['/nowhere', /ENOENT/],
  ];
  for (const [data, message] of cases) {
    const said = await dimmer(['bench', url, ...RATE, '--data', data, '--json']);
    t.equal(said.status, 1);
    t.match(said.err, message);
    t.ok(failureDocument.parse(documentOf(said)));
  }
  t.same(sent, []);
});

t.test('goals that are missed are status 1, and so is a load that nobody answered', async (t) => {
  const refusing = await fakeService(t, (_request, _body, response) => {
    send(response, 503, fakeProblem('deadline-unattainable', 503));
  });
  const none = await dimmer(['bench', refusing, ...RATE, '--goal-in-time', '0.5', '--goal-p99', '10', '--json']);
  t.equal(none.status, 1);
  const report = reportOf(none);
  t.same(report.missed, ['in time 0.00 %, goal 50.00 %', 'p99 - ms, goal 10.0 ms']);
  t.ok(report.doubts.includes('no request was answered'));
  t.same(report.latencyMs.client, { p50: null, p90: null, p99: null, p999: null });
  const slow = await fakeService(t, (_request, _body, response) => {
    setTimeout(() => send(response, 200, fakeAnswer('full')), 20);
  });
  const late = reportOf(await dimmer(['bench', slow, ...RATE, '--goal-in-time', '1', '--goal-p99', '10', '--json']));
  t.match(late.missed, [/^p99 \d+\.\d ms, goal 10\.0 ms$/], 'without a latency whatever is answered is in time');
});

t.test('for people: all figures in words, and nothing on stderr where nobody watches', async (t) => {
  const url = await fakeService(t, (_request, _body, response, n) => {
    if (n % 2) send(response, 503, fakeProblem('overloaded', 503));
    else send(response, 200, fakeAnswer('p01-r500'));
  });
  const { out, err } = await dimmer(['bench', url, ...RATE, '--cost', '0.5', '--goal-in-time', '1']);
  t.equal(err, '');
  t.match(out, `pets (version 0123456789ab) at ${url}/\n`);
  t.match(out, /^\d+ requests in 1 s \(Poisson, 150 a second\), budget cost=0\.5; 3 pictures, seed 1$/m);
  t.match(out, /^in time +\d+\.\d\d % +of all requests; by the service's clock \d+\.\d\d %$/m);
  t.match(out, /^goodput +\d+\.\d \/s +answers in time$/m);
  t.match(out, /^accuracy +- +not measured: no labels; 80\.00 % is what the instances that ran are known for$/m);
  t.match(out, /^mean cost +25\.00 % +of the full network's FLOPs$/m);
  t.match(out, /^latency +p50 \d+\.\d {2}p90 \d+\.\d {2}p99 \d+\.\d {2}p99\.9 \d+\.\d ms +from the scheduled time/m);
  t.match(out, /^this client's lag +p50 /m);
  t.match(out, /^instances +p01-r500 100\.0 %$/m);
  t.match(out, /^refused +overloaded \d+$/m);
  t.match(out, /^failed +none$/m);
  t.match(out, /^MISSED: in time \d+\.\d\d %, goal 100\.00 %$/m);
});

t.test('a real service, on a fake runtime', async (t) => {
  const { url } = await readyApp(t);
  const report = reportOf(await dimmer(['bench', url, ...RATE, '--instance', 'p01-r500', '--json']));
  t.equal(report.model, 'tiny');
  t.equal(report.instance, 'p01-r500');
  t.same(report.failed, {});
  t.same(Object.keys(report.instances), ['p01-r500']);
  t.match(await dimmer(['bench', url, ...RATE, '--model', 'none']), {
    status: 1,
    err: /has no model none\n.*one of tiny/,
  });
});

t.test('a bar for who watches changes nothing of the result', async (t) => {
  const url = await fakeService(t, (_request, _body, response) => send(response, 200, fakeAnswer('full')));
  const report = reportOf(await dimmer(['bench', url, ...RATE, '--json'], {}, Buffer.alloc(0), true));
  t.equal(report.instances.full, report.requests);
});

t.test('a timetable without a request, or with more than can be kept', async (t) => {
  const url = await fakeService(t, () => {});
  const empty = await dimmer(['bench', url, '--rate', '0.001', '--seconds', '1']);
  t.match(empty, { status: 1, err: /^No request\n.*none fell into 1 s/ });
  const endless = await dimmer(['bench', url, '--rate', '100000', '--seconds', '86400']);
  t.match(endless, { status: 1, err: /^Too many requests\n/ });
});
