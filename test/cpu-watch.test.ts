import { cpus } from 'node:os';
import t from 'tap';
import { type CpuReading, readingHost, watchCpus } from '../src/cpu-watch.js';
import { Capacity, type CpuSample } from '../src/scheduler/capacity.js';

/** A timer that comes when told to. */
function manual() {
  let work = () => {};
  const every = (callback: () => void) => {
    work = callback;
    return setInterval(() => {}, 2 ** 30).unref();
  };
  return { every, tick: () => work() };
}
const reading = (facts: Partial<CpuReading>): CpuReading => ({
  nowMs: 0,
  processMs: 0,
  engineMs: 0,
  hostMs: undefined,
  pictures: 0,
  ...facts,
});

t.test('each sample is what was used since the one before', (t) => {
  const { every, tick } = manual();
  const readings = [
    reading({ nowMs: 1000, processMs: 50, engineMs: 20, hostMs: 500, pictures: 7 }),
    reading({ nowMs: 1250, processMs: 150, engineMs: 80, hostMs: 900, pictures: 27 }),
    reading({ nowMs: 1500, processMs: 160, engineMs: 80, hostMs: undefined, pictures: 27 }),
    reading({ nowMs: 1750, processMs: 170, engineMs: 80, hostMs: 950, pictures: 27 }),
  ];
  const samples: CpuSample[] = [];
  clearInterval(watchCpus({ update: (s) => samples.push(s) }, () => readings.shift() as CpuReading, every));
  for (let n = 0; n < 3; n++) tick();
  const idle = { wallMs: 250, processMs: 10, engineMs: 0, pictures: 0, hostMs: undefined };
  t.same(samples, [
    { wallMs: 250, processMs: 100, engineMs: 60, pictures: 20, hostMs: 400 },
    idle,
    idle, // what the host used cannot be told without both ends
  ]);
  t.end();
});

t.test('others on the same host take capacity away as long as they are there', (t) => {
  const { every, tick } = manual();
  const capacity = new Capacity(2, 1);
  let now = reading({ hostMs: 0 });
  clearInterval(watchCpus(capacity, () => now, every));
  const pass = (theirs: number) => {
    now = { ...now, nowMs: now.nowMs + 250, hostMs: (now.hostMs as number) + theirs };
    tick();
  };
  for (let n = 0; n < 40; n++) pass(250);
  t.ok(Math.abs(capacity.shared.capacity - 1) < 0.01, `one of two CPUs is busy: ${capacity.shared.capacity}`);
  for (let n = 0; n < 40; n++) pass(0);
  t.ok(Math.abs(capacity.shared.capacity - 2) < 0.01);
  t.end();
});

t.test('what is read: this process, its networks, and the host where all CPUs are ours', (t) => {
  const spent = () => ({ pictures: 3, engineMs: 12 });
  const whole = readingHost(() => 5, cpus().length, spent)();
  t.match(whole, { nowMs: 5, pictures: 3, engineMs: 12 });
  t.ok(whole.processMs > 0);
  if (process.platform === 'linux') t.ok((whole.hostMs as number) > 0);
  t.equal(readingHost(() => 5, cpus().length + 1, spent)().hostMs, undefined);
  t.end();
});
