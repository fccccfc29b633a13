/** The pure parts of bench/peers, its adapters against a server, and the documents' table. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { RequestRecord } from '../../bench/load/job.js';
import { startOf, treeOf } from '../../bench/load/processes.js';
import { pinned } from '../../bench/peers/process.js';
import { type Peer, PROTOCOLS, readPeer, withFormat } from '../../bench/peers/protocols.js';
import { requestsTo, type Server, serversFor } from '../../bench/peers/servers.js';
import { bestOf, figuresOf, findings, type Run, summarise } from '../../bench/peers/summary.js';
import { arrivalsOf, type Kind, kindsFor } from '../../bench/peers/traces.js';
import { type Peers, peersTable, readPeers, withPeers } from '../../docs/peers.js';
import { Client } from '../../src/load/client.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PEERS = `${ROOT}bench/peers/`;
const PICTURE = Buffer.from([0, 1, 2, 13, 10, 255]);

t.test('a picture reaches BentoML as a file of a form, and LitServe as base64 in JSON', async (t) => {
  const { bentoml, litserve } = PROTOCOLS;
  const body = new Uint8Array(bentoml.encode(PICTURE));
  const form = await new Response(body, { headers: { 'Content-Type': bentoml.contentType } }).formData();
  const files = form.getAll('images') as File[];
  t.equal(files.length, 1);
  t.same(Buffer.from(await (files[0] as File).arrayBuffer()), PICTURE);
  const { image } = JSON.parse(litserve.encode(PICTURE).toString()) as { image: string };
  t.same(Buffer.from(image, 'base64'), PICTURE);
});

t.test('an answer is right or wrong by its index, and an error names no class, whatever its body', async (t) => {
  t.same(readPeer('bentoml', '[{"label":"cat","index":3}]', 3), { reason: 'ok', correct: true });
  t.same(readPeer('bentoml', '[{"label":"cat","index":3}]', 4), { reason: 'ok', correct: false });
  t.same(readPeer('litserve', '{"label":"cat","index":3}', 3), { reason: 'ok', correct: true });
  t.same(readPeer('litserve', '{"label":"cat","index":0}', 3), { reason: 'ok', correct: false });
  for (const peer of ['bentoml', 'litserve'] as const) {
    for (const text of [
      '""',
      '',
      'Internal Server Error',
      '{"detail":"timeout"}',
      'null',
      '[]',
      '[null]',
      '{"index":"3"}',
    ]) {
      t.same(readPeer(peer, text, 3), { reason: 'unknown' }, `${peer}: ${text}`);
    }
  }
});

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

t.test('the client of bench/load speaks to each server as it wants', async (t) => {
  const seen: { url: string | undefined; type: string | undefined; body: Buffer }[] = [];
  const server = createServer(async (request, response) => {
    seen.push({ url: request.url, type: request.headers['content-type'], body: await bodyOf(request) });
    if (seen.length > 2) response.writeHead(503).end('busy');
    else response.end(seen.length === 1 ? '[{"index":3}]' : '{"index":3}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => server.close());
  const file = join(t.testdir(), 'picture');
  writeFileSync(file, PICTURE);
  const ask = async (peer: Peer) => {
    const own = serversFor(2, 'full').find((s) => s.peer === peer) as Server;
    const pictures = [{ file, label: 3 }];
    const requests = requestsTo(own, own.settings[0] as Server['settings'][number], { model: 'm', pictures });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new Client(withFormat({ ...requests, url }));
    const answer = await client.post(0);
    await client.close();
    return answer;
  };
  t.match(await ask('bentoml'), { status: 200, reason: 'ok', correct: true });
  t.match(await ask('litserve'), { status: 200, reason: 'ok', correct: true });
  t.match(await ask('litserve'), { status: 503, reason: 'unknown' });
  for (const [place, peer] of (['bentoml', 'litserve'] as const).entries()) {
    const { path, contentType, encode } = PROTOCOLS[peer];
    t.same(seen[place], { url: path, type: contentType, body: encode(PICTURE) });
  }
});

t.test('dimmer is told what is left of the deadline, and the pinned one its instance', async (t) => {
  const [free, fixed] = serversFor(2, 'full') as [Server, Server];
  const asked = (server: Server) =>
    requestsTo(server, server.settings[0] as Server['settings'][number], { model: 'm', pictures: [] });
  t.match(asked(free), { path: '/classify?model=m&top=1', headers: { 'Inference-Budget': 'latency=90' } });
  t.match(asked(fixed), {
    path: '/classify?model=m&top=1&instance=full',
    headers: { 'Inference-Budget': 'latency=90' },
  });
});

t.test(
  'every server is tried with two settings or more, and none takes more threads than there are CPUs',
  async (t) => {
    for (const cpus of [1, 2, 8]) {
      for (const { name, peer, settings } of serversFor(cpus, 'full')) {
        t.ok(new Set(settings.map((s) => JSON.stringify({ ...s, name: '' }))).size >= 2, `${name} on ${cpus} CPUs`);
        if (peer === undefined) continue;
        for (const { name: setting, environment } of settings) {
          t.ok(Number(environment.WORKERS) * Number(environment.THREADS) <= cpus, `${name}: ${setting}`);
        }
      }
    }
  },
);

t.test('a setting gives all that the Python files read', async (t) => {
  const read = (file: string) =>
    [...readFileSync(PEERS + file, 'utf8').matchAll(/os\.environ\["(\w+)"\]/g)].map((m) => m[1] as string);
  /** Of every process: its family, and its port. */
  const given = ['FAMILY', 'PORT'];
  const files = { bentoml: 'bento_app.py', litserve: 'litserve_app.py' } as const;
  for (const { name, peer, settings } of serversFor(2, 'full')) {
    if (peer === undefined) continue;
    const wanted = [...read('model.py'), ...read(files[peer])].filter((key) => !given.includes(key));
    for (const { environment } of settings) {
      t.same(Object.keys(environment).sort(), [...new Set(wanted)].sort(), name);
    }
  }
});

t.test('all versions are pinned, and onnxruntime is that of the service', async (t) => {
  const text = readFileSync(`${PEERS}requirements.txt`, 'utf8');
  const versions = new Map(pinned(text));
  t.equal(versions.size, text.split('\n').filter((line) => /^[^#\s]/.test(line)).length);
  const { dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
    dependencies: Record<string, string>;
  };
  t.equal(versions.get('onnxruntime'), dependencies['onnxruntime-node']);
});

t.test('traces have the rates that are asked for, and the same arrivals for the same seed', async (t) => {
  const kinds = kindsFor(200);
  t.same(
    kinds.map((k) => k.perS),
    [100, 200, 400, 250, 140],
  );
  t.equal(new Set(kinds.map((k) => k.name)).size, 5);
  for (const kind of kinds) {
    const arrivals = arrivalsOf(kind, 100_000, 1);
    t.same(arrivals, arrivalsOf(kind, 100_000, 1), kind.name);
    t.not(arrivals[0], arrivalsOf(kind, 100_000, 2)[0]);
    t.ok(
      Math.abs(arrivals.length / 100 / kind.perS - 1) < (kind.bursty ? 0.1 : 0.05),
      `${kind.name}: ${arrivals.length}`,
    );
  }
  const cv2 = (kind: Kind) => {
    const arrivals = arrivalsOf(kind, 100_000, 1);
    const gaps = arrivals.slice(1).map((at, n) => at - (arrivals[n] as number));
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    return gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length / mean ** 2;
  };
  t.ok(Math.abs(cv2(kinds[0] as Kind) - 1) < 0.1);
  t.ok(Math.abs(cv2(kinds[4] as Kind) - 8) < 2);
});

const record = (facts: Partial<RequestRecord> = {}): RequestRecord => ({
  scheduledMs: 0,
  lagMs: 0,
  status: 200,
  latencyMs: 20,
  reason: 'ok',
  correct: true,
  ...facts,
});

t.test('what counts is right and in time by the client, from when a request should have been sent', async (t) => {
  const figures = figuresOf([
    record(),
    record({ correct: false }),
    record({ latencyMs: 100 }),
    record({ latencyMs: 99, lagMs: 1.5 }),
    record({ latencyMs: 400, correct: false }),
    record({ status: 503, reason: 'unknown', latencyMs: 1, correct: false }),
    record({ status: 503, reason: 'unknown', latencyMs: 1, correct: false }),
    record({ status: 0, reason: 'ECONNRESET', latencyMs: 1, correct: false }),
  ]);
  t.match(figures, {
    arrivals: 8,
    rightInTime: 2 / 8,
    inTime: 3 / 8,
    answered: 5 / 8,
    accuracy: 3 / 5,
    p50Ms: 100,
    p99Ms: 400,
    refused: { '503 unknown': 2, '0 ECONNRESET': 1 },
    lagged: false,
  });
  t.ok(figuresOf([record({ lagMs: 3 })]).lagged);
  const nothing = figuresOf([record({ status: 503 })]);
  t.match(nothing, { rightInTime: 0, accuracy: null, p50Ms: null, p99Ms: null });
  t.same(JSON.parse(JSON.stringify(nothing)), nothing);
});

const run = (server: string, rightInTime: number, facts: Partial<Run> = {}): Run => ({
  server,
  trace: 'a',
  round: 1,
  figures: { ...figuresOf([record()]), rightInTime },
  doubtful: false,
  ...facts,
});

t.test('medians are of the sound runs of one server on one trace', async (t) => {
  const runs = [
    run('us', 0.5),
    run('us', 0.9),
    run('us', 0.6),
    run('us', 0.1, { doubtful: true }),
    run('us', 0.1, { trace: 'b' }),
    run('peer', 0.1),
  ];
  t.match(summarise(runs, 'us', 'a'), {
    trace: 'a',
    rightInTime: { median: 0.6, least: 0.5, most: 0.9, n: 3 },
    p99Ms: { median: 20, n: 3 },
  });
  t.equal(summarise(runs, 'nobody', 'a').rightInTime.n, 0);
  const silent = { ...figuresOf([record({ status: 503 })]) };
  t.match(summarise([...runs, run('us', 0, { figures: silent })], 'us', 'a'), {
    rightInTime: { n: 4 },
    p99Ms: { n: 3 },
  });
});

t.test('dimmer may be one point behind a peer on a trace, and no more', async (t) => {
  const holds = (ours: number, theirs: number) =>
    findings([run('us', ours), run('peer', theirs)], 'us', ['peer'], ['a'])[0]?.holds;
  t.ok(holds(0.9, 0.91));
  t.notOk(holds(0.9, 0.9101));
  t.ok(holds(0.9, 0.2));
  const none = findings([run('us', 0.9)], 'us', ['peer', 'other'], ['a', 'b']);
  t.equal(none.length, 4, 'each peer on each trace');
  t.notOk(
    none.some((f) => f.holds),
    'a comparison without runs does not hold',
  );
});

t.test('of the settings that were tried the best is kept', async (t) => {
  const tried = [0.2, 0.7, 0.7, 0.1].map((rightInTime, n) => ({ rightInTime, n })) as [
    { rightInTime: number; n: number },
  ];
  t.equal(bestOf(tried).n, 1, 'the first of equals');
});

t.test('what a process has started is known by its whole tree', { skip: process.platform !== 'linux' }, async (t) => {
  const child = spawn('sh', ['-c', 'sh -c "sleep 30; :"; :'], { stdio: 'ignore' });
  const pid = child.pid as number;
  for (let n = 0; n < 200 && treeOf(pid).length < 3; n++) await sleep(10);
  const tree = treeOf(pid);
  t.equal(tree.length, 3);
  t.equal(tree[0], pid);
  t.equal(startOf(pid), startOf(pid));
  t.ok(Number(startOf(pid)) > 0);
  for (const one of tree) process.kill(one, 'SIGKILL'); // each waits for the next, so none ends by itself
  await once(child, 'exit');
  t.equal(startOf(pid), undefined, 'it has ended');
  t.same(treeOf(pid), [pid]);
});

const same = (value: number) => ({ median: value, least: value, most: value, n: 3 });
const RESULT: Peers = {
  command: 'npm run bench:peers -- --data d',
  commit: '0123456789abcdef',
  date: '2026-01-02T03:04:05Z',
  cpu: 'a CPU',
  cpus: 2,
  versions: { python: '3.11', bentoml: '1' },
  model: 'm',
  modelVersion: 'v',
  deadlineMs: 100,
  seconds: 8,
  reference: 'BentoML',
  capacityPerS: 123.4,
  traces: [
    { name: 'poisson 50 %', perS: 61.7 },
    { name: 'poisson 250/s', perS: 250 },
  ],
  findings: [],
  servers: [
    {
      name: 'dimmer',
      command: 'npm start',
      settings: 'latency=90',
      tried: [1, 2],
      firstStartMs: 9876,
      startMs: same(2345),
      pssMib: same(300.4),
      traces: [
        { trace: 'poisson 50 %', rightInTime: { median: 0.9471, least: 0.94, most: 0.95, n: 3 } },
        { trace: 'poisson 250/s', rightInTime: same(0.5) },
      ],
    },
  ],
};

t.test('the table has a row for each server and a column for each trace', async (t) => {
  const lines = peersTable(RESULT).split('\n');
  t.same(
    lines.map((line) => line.replaceAll(/ +/g, ' ').replaceAll(/-+/g, '-')),
    [
      '| right and in time, % | poisson 50 %: 62/s | poisson 250/s | memory, MiB | start, s (the first) | started with |',
      '| - | - | - | - | - | - |',
      '| dimmer | 94.7 (94.0 to 95.0) | 50.0 (50.0 to 50.0) | 300 | 2.3 (9.9) | `npm start`, latency=90 |',
    ],
  );
  t.equal(new Set(lines.map((line) => line.length)).size, 1, 'columns have one width, as the formatter wants it');
});

t.test('a document gets its table between the marks, and nothing else of it changes', async (t) => {
  const made = withPeers('# A\n\n<!-- peers -->\nold\n<!-- /peers -->\nafter $&\n', RESULT);
  t.match(made, /^# A\n\n<!-- peers -->\n\n\| right and in time/);
  t.match(
    made,
    /3 runs of 8 s[\s\S]*bentoml 1[\s\S]*commit 0123456789ab, 2026-01-02[\s\S]*\n<!-- \/peers -->\nafter \$&\n$/,
  );
  t.equal(withPeers(made, RESULT), made, 'twice is once');
  t.equal(withPeers('no marks', RESULT), 'no marks');
});

t.test('README.md has the table of the committed result, or says that there is none', async (t) => {
  const result = readPeers();
  const readme = readFileSync(`${ROOT}README.md`, 'utf8');
  if (result) t.equal(withPeers(readme, result), readme, 'README.md: npm run benchmarks');
  else t.match(readme, /<!-- peers -->\nNot measured yet: `bench\/results\/peers.json` is missing/);
});
