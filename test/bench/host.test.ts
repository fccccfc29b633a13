import t from 'tap';
import { Cpus, EventLoop } from '../../bench/host/cpus.js';
import { type Host, serve, servedFrom } from '../../bench/host/service.js';
import { CHOOSERS } from '../../bench/policies/rivals.js';
import type { Table } from '../../bench/simulate/table.js';
import { BATCH_SIZES } from '../../src/policy/picture.js';
import { CHEAP, FULL, predict } from './support.js';

/** Every run takes what `predict` says. */
const TABLE: Table = {
  family: 'test',
  version: '1',
  host: {},
  threads: 2,
  instances: [FULL, CHEAP].map(({ id, key, flops, share, accuracy }) => ({ id, key, flops, share, accuracy })),
  samples: Object.fromEntries(
    [FULL, CHEAP].map((i) => [i.id, Object.fromEntries(BATCH_SIZES.map((n) => [n, Array(16).fill(predict(i, n))]))]),
  ),
};

const HOST: Host = {
  table: TABLE,
  instances: servedFrom(TABLE),
  cpus: 2,
  besides: { client: 0.5, http: 0.5, decode: 1 },
};

t.test('tasks share the CPUs, and those that go first do not wait', async (t) => {
  const cpus = new Cpus(2);
  const ends: Record<string, number> = {};
  const work = (name: string, ms: number, first = false) =>
    cpus.work(ms, first).then(() => {
      ends[name] = Math.round(1000 * cpus.now()) / 1000;
    });
  void work('a', 10);
  void work('b', 10);
  void work('c', 10);
  cpus.after(30, () => void work('alone', 5));
  cpus.after(40, () => {
    void work('first', 4, true);
    void work('first too', 4, true);
    void work('last', 1);
  });
  await cpus.run();
  t.same([ends.a, ends.b, ends.c], [15, 15, 15], 'three on two CPUs');
  t.equal(ends.alone, 35);
  t.same([ends.first, ends['first too']], [44, 44]);
  t.ok((ends.last as number) > 44, 'what is left is next to nothing');
  t.equal(Math.round(cpus.busyMs), 44);
});

t.test('an event loop does one thing after another', async (t) => {
  const cpus = new Cpus(2);
  const loop = new EventLoop(cpus);
  const ends: number[] = [];
  for (const ms of [3, 2, 1]) void loop.do(ms).then(() => ends.push(cpus.now()));
  await cpus.run();
  t.same(ends, [3, 5, 6]);
});

t.test('a cancelled timer never comes', async (t) => {
  const cpus = new Cpus(1);
  const cancel = cpus.after(5, () => t.fail('cancelled'));
  cpus.after(1, cancel);
  await cpus.run();
  t.equal(cpus.now(), 1);
});

t.test('every picture has its answer: dear ones in calm, cheap ones and refusals in a flood', async (t) => {
  const every = (ms: number) => Array.from({ length: 300 }, (_, n) => n * ms);
  const play = (ms: number, facts = {}) => serve(HOST, { arrivalsMs: every(ms), latencyMs: 60, seed: 1, ...facts });
  const calm = await play(50);
  t.ok(calm.length === 300 && calm.every((a) => a.inTime && a.instance?.id === 'full'));
  const flood = await play(1.5);
  t.equal(flood.length, 300);
  t.ok(flood.some((a) => a.code === 'deadline-unattainable'));
  const cheap = flood.filter((a) => a.inTime && a.instance?.id !== 'full').length;
  t.ok(cheap > 200, `${cheap}`);
  t.ok(flood.every((a) => a.instance !== undefined || a.code?.startsWith('deadline-')));
  t.same(await play(1.5), flood, 'the same again');
  const pinned = await play(50, { instance: 'full' });
  t.ok(pinned.every((a) => a.instance?.id === 'full'));
});

t.test('every rival that chooses an instance can play', async (t) => {
  const arrivalsMs = Array.from({ length: 100 }, (_, n) => 10 * n);
  for (const rival of CHOOSERS) {
    const { policy } = rival.create(HOST.instances);
    const answers = await serve(HOST, { arrivalsMs, latencyMs: 60, seed: 1, policy });
    t.ok(
      answers.every((a) => a.inTime),
      rival.name,
    );
  }
});
