import t from 'tap';
import type { Contender, Finished } from '../../bench/policies/contender.js';
import { BATCHERS, CHOOSERS } from '../../bench/policies/rivals.js';
import { Cpus, EventLoop } from '../../bench/virtual/cpus.js';
import { type Host, type Load, serve, servedFrom } from '../../bench/virtual/service.js';
import { lostTo, over, spread, summarise } from '../../bench/virtual/summary.js';
import { medianOf, readTable, yardsticks } from '../../bench/virtual/table.js';
import { CHEAP, FULL, TABLE } from './support.js';

const HOST: Host = {
  table: TABLE,
  instances: servedFrom(TABLE),
  cpus: 2,
  overhead: { client: 0.5, http: 0.5, decode: 1 },
};

t.test('tasks share the CPUs, and tasks with priority do not wait', async (t) => {
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

const every = (ms: number, count = 300) => Array.from({ length: count }, (_, n) => n * ms);
const play = (ms: number, facts: Partial<Load> = {}) =>
  serve(HOST, { arrivalsMs: every(ms), latencyMs: 60, strict: true, seed: 1, ...facts });

t.test('no time passes while promises have something left to do', async (t) => {
  const cpus = new Cpus(1);
  const ends: number[] = [];
  cpus.after(1, async () => {
    for (let n = 0; n < 1000; n++) await undefined;
    ends.push(cpus.now());
    await cpus.work(1);
    ends.push(cpus.now());
  });
  cpus.after(1.5, () => ends.push(cpus.now()));
  await cpus.run();
  t.same(ends, [1, 1.5, 2]);
});

t.test('every picture gets an answer: accurate ones at low load, cheap ones and refusals in an overload', async (t) => {
  const calm = await play(50);
  t.ok(calm.length === 300 && calm.every((a) => a.inTime && a.instance?.id === 'full'));
  const flood = await play(1.2);
  t.equal(flood.length, 300);
  t.ok(flood.some((a) => a.code === 'deadline-unattainable'));
  const cheap = flood.filter((a) => a.inTime && a.instance?.id !== 'full').length;
  t.ok(cheap > 150, `${cheap}`);
  t.ok(flood.every((a) => a.instance !== undefined || a.code?.startsWith('deadline-')));
  t.same(await play(1.2), flood, 'the same again');
  const pinned = await play(50, { instance: 'full' });
  t.ok(pinned.every((a) => a.instance?.id === 'full'));
});

t.test('requests that are not strict are all answered', async (t) => {
  const flood = await play(1.2, { strict: false });
  t.ok(flood.every((a) => a.instance !== undefined));
  t.ok(flood.some((a) => !a.inTime));
});

for (const rival of [...CHOOSERS, ...BATCHERS.map((make) => make('p01-r500'))]) {
  t.test(`${rival.name} plays: every picture gets an answer, at low load and in an overload`, async (t) => {
    const instance = CHOOSERS.includes(rival) ? undefined : 'p01-r500';
    const calm = await play(10, { contender: rival, instance });
    t.ok(calm.every((a) => a.inTime));
    const flood = await play(1.2, { contender: rival, instance });
    t.ok(flood.every((a) => a.instance !== undefined || a.code?.startsWith('deadline-')));
  });
}

t.test('a rival learns what became of its runs', async (t) => {
  const told: Finished[] = [];
  const [maxAcc] = CHOOSERS.filter((c) => c.name === 'maxacc') as [Contender];
  const contender: Contender = {
    ...maxAcc,
    create: (instances) => ({ ...maxAcc.create(instances), finished: (facts) => told.push(facts) }),
  };
  await play(50, { arrivalsMs: [0], contender });
  t.match(told, [{ instance: { id: 'full' }, size: 1, missed: 0 }]);
  t.ok(Math.abs((told[0] as Finished).actualMs - 4) < 1e-9, 'nothing else uses the CPUs');
});

t.test(
  'load 1 is when the CPUs are always busy with the cheapest; the deadline leaves 40 of its pictures or 30 ms',
  async (t) => {
    t.equal(medianOf(TABLE)(CHEAP, 8), 9);
    t.throws(() => medianOf(TABLE)(FULL, 3), /batch 3 is not in the table/);
    const overhead = { client: 0.5, http: 0.5, decode: 1.875 };
    t.match(yardsticks(TABLE, 2, overhead), { cheapest: { id: 'p01-r500' }, capacityPerMs: 0.5, deadlineMs: 4 + 80 });
    t.match(yardsticks(TABLE, 8, overhead), { capacityPerMs: 2, deadlineMs: 4 + 30 });
  },
);

t.test('the tables that are shipped can be read', async (t) => {
  for (const family of ['cifar10', 'imagenet1k']) {
    const path = new URL(`../../bench/virtual/tables/${family}.json`, import.meta.url).pathname;
    t.equal(readTable(path).family, family);
  }
});

t.test('figures are shares of all arrivals', async (t) => {
  const figures = summarise(
    [
      { inTime: true, instance: FULL },
      { inTime: true, instance: CHEAP },
      { inTime: false, instance: FULL },
      { inTime: false, code: 'deadline-exceeded' },
      { inTime: false, code: 'overloaded' },
    ],
    4,
  );
  t.same(figures, { utility: 1.5 / 5, inTime: 2 / 5, late: 1 / 5, expired: 1 / 5, refused: 1 / 5, goodput: 1 / 2 });
  t.same(spread([1, 3]), { mean: 2, sd: Math.SQRT2 });
  t.same(over([figures, figures]).inTime, { mean: 2 / 5, sd: 0 });
});

t.test('a trace is lost if another participant is above the service by more than the tolerance', async (t) => {
  const row = (name: string, mean: number) => ({ name, figures: { utility: { mean, sd: 0 } } });
  const lost = lostTo([
    { trace: 'near', rows: [row('dimmer', 0.88), row('a', 0.8819)] },
    { trace: 'far', rows: [row('dimmer', 0.88), row('a', 0.7), row('b', 0.8821)] },
  ]);
  t.match(lost, [{ trace: 'far', rival: 'b' }]);
  t.equal(lost.length, 1);
});
