import { cpus } from 'node:os';
import t from 'tap';
import { type CpuReading, readingHost, watchCpus } from '../src/cpu-watch.js';
import { type CpuSample, CpuShare } from '../src/scheduler/cpus.js';

/** A timer that the test fires. */
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
  serviceMs: 0,
  plannedMs: 0,
  hostMs: undefined,
  arrivals: 0,
  ...facts,
});

t.test('each sample is what was used since the one before', (t) => {
  const { every, tick } = manual();
  const readings = [
    reading({ nowMs: 1000, serviceMs: 50, plannedMs: 20, hostMs: 500, arrivals: 7 }),
    reading({ nowMs: 1250, serviceMs: 150, plannedMs: 80, hostMs: 900, arrivals: 27 }),
    reading({ nowMs: 1500, serviceMs: 160, plannedMs: 80, hostMs: undefined, arrivals: 27 }),
    reading({ nowMs: 1750, serviceMs: 170, plannedMs: 80, hostMs: 950, arrivals: 27 }),
  ];
  const samples: CpuSample[] = [];
  clearInterval(watchCpus({ update: (s) => samples.push(s) }, () => readings.shift() as CpuReading, every));
  for (let n = 0; n < 3; n++) tick();
  const idle = { wallMs: 250, serviceMs: 10, plannedMs: 0, arrivals: 0, hostMs: undefined };
  t.same(samples, [
    { wallMs: 250, serviceMs: 100, plannedMs: 60, arrivals: 20, hostMs: 400 },
    idle,
    idle, // what the host used cannot be told without both ends
  ]);
  t.end();
});

t.test('others on the same host take capacity away as long as they are there', (t) => {
  const { every, tick } = manual();
  const share = new CpuShare(2, 1);
  let now = reading({ hostMs: 0 });
  clearInterval(watchCpus(share, () => now, every));
  const pass = (theirs: number) => {
    now = { ...now, nowMs: now.nowMs + 250, hostMs: (now.hostMs as number) + theirs };
    tick();
  };
  for (let n = 0; n < 40; n++) pass(250);
  t.ok(Math.abs(share.now(0).count - 1) < 0.01, `one of two CPUs is busy: ${share.now(0).count}`);
  for (let n = 0; n < 40; n++) pass(0);
  t.ok(Math.abs(share.now(0).count - 2) < 0.01);
  t.end();
});

t.test('samples cover this process, its networks, and the host if the service may use all CPUs', (t) => {
  const spent = () => ({ arrivals: 3, plannedMs: 12 });
  const whole = readingHost(() => 5, cpus().length, spent)();
  t.match(whole, { nowMs: 5, arrivals: 3, plannedMs: 12 });
  t.ok(whole.serviceMs > 0);
  if (process.platform === 'linux') t.ok((whole.hostMs as number) > 0);
  t.equal(readingHost(() => 5, cpus().length + 1, spent)().hostMs, undefined);
  t.end();
});
