import t, { type Test } from 'tap';
import { type CpuSample, CpuShare } from '../../src/scheduler/cpus.js';

const sample = (facts: Partial<CpuSample> = {}): CpuSample => ({
  wallMs: 1000,
  serviceMs: 0,
  plannedMs: 0,
  hostMs: undefined,
  arrivals: 0,
  ...facts,
});
const about = (t: Test, value: number, expected: number) => t.ok(Math.abs(value - expected) < 0.01, `${value}`);

t.test('before any sample there are all CPUs and no overhead', (t) => {
  t.same(new CpuShare(4, 2).now(5), { count: 4, answerMs: 0, perRun: 2, networks: true });
  t.end();
});

t.test('overhead of a picture: half at its arrival, refused or not, half for the answer', (t) => {
  const share = new CpuShare(2, 1);
  share.update(sample({ serviceMs: 900, plannedMs: 400, arrivals: 500 }));
  about(t, share.now(0).answerMs, 0.5);
  about(t, share.now(1).count, 2 - 0.5);
  share.update(sample({ serviceMs: 900, arrivals: 9 }));
  about(t, share.now(0).answerMs, 0.5);
  share.update(sample({ serviceMs: 1500, arrivals: 500 }));
  about(t, share.now(0).answerMs, (1 + 0.3 * 2) / 2);
  about(t, share.now(100).count, 0);
  const few = new CpuShare(2, 1);
  few.update(sample({ serviceMs: 30, arrivals: 10 }));
  about(t, few.now(0).answerMs, 1.5);
  few.update(sample({ serviceMs: 30, plannedMs: 90, arrivals: 10 }));
  t.ok(few.now(0).answerMs > 0, 'a model that has it too dear does not make it less than nothing');
  t.end();
});

t.test('if the CPU use of the host is unknown, all CPUs count as available', (t) => {
  const share = new CpuShare(2, 1);
  share.update(sample({ serviceMs: 900, arrivals: 500, hostMs: undefined }));
  t.equal(share.now(0).count, 2);
  t.end();
});

t.test('CPU use of other processes reduces the capacity as long as it lasts', (t) => {
  const share = new CpuShare(2, 1);
  for (let n = 0; n < 40; n++) share.update(sample({ serviceMs: 100, hostMs: 900 }));
  about(t, share.now(0).count, 1.2);
  for (let n = 0; n < 40; n++) share.update(sample({ serviceMs: 100, hostMs: 100 }));
  about(t, share.now(0).count, 2);
  share.update(sample({ wallMs: 0, hostMs: 500 }));
  about(t, share.now(0).count, 2);
  for (let n = 0; n < 40; n++) share.update(sample({ serviceMs: 100, hostMs: 9000 }));
  t.equal(share.now(0).count, 0, 'never below nothing');
  t.end();
});
