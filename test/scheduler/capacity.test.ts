import t, { type Test } from 'tap';
import { Capacity, type CpuSample } from '../../src/scheduler/capacity.js';

const sample = (facts: Partial<CpuSample> = {}): CpuSample => ({
  wallMs: 1000,
  processMs: 0,
  engineMs: 0,
  hostMs: undefined,
  pictures: 0,
  ...facts,
});
const about = (t: Test, value: number, expected: number) => t.ok(Math.abs(value - expected) < 0.01, `${value}`);

t.test('all CPUs, in engine threads', (t) => {
  t.equal(new Capacity(2, 1).shared.capacity, 2);
  t.equal(new Capacity(4, 2).shared.capacity, 2);
  t.equal(new Capacity(2, 1).shared.besidesMs, 0);
  t.end();
});

t.test('what a picture costs besides its network', (t) => {
  const capacity = new Capacity(2, 1);
  capacity.update(sample({ processMs: 900, engineMs: 400, pictures: 500 }));
  about(t, capacity.shared.besidesMs, 1);
  capacity.update(sample({ processMs: 900, pictures: 9 }));
  about(t, capacity.shared.besidesMs, 1);
  capacity.update(sample({ processMs: 1500, engineMs: 0, pictures: 500 }));
  about(t, capacity.shared.besidesMs, 1 + 0.3 * 2);
  const few = new Capacity(2, 1);
  few.update(sample({ processMs: 30, pictures: 10 }));
  about(t, few.shared.besidesMs, 3);
  const wide = new Capacity(4, 2);
  wide.update(sample({ processMs: 900, engineMs: 400, pictures: 500 }));
  about(t, wide.shared.besidesMs, 0.5);
  t.end();
});

t.test('where the rest of the host cannot be seen, all CPUs are ours', (t) => {
  const capacity = new Capacity(2, 1);
  capacity.update(sample({ processMs: 900, pictures: 500, hostMs: undefined }));
  t.equal(capacity.shared.capacity, 2);
  t.end();
});

t.test('who shares the host takes from networks, and gives back', (t) => {
  const capacity = new Capacity(2, 1);
  for (let n = 0; n < 40; n++) capacity.update(sample({ processMs: 100, hostMs: 900 }));
  about(t, capacity.shared.capacity, 1.2);
  for (let n = 0; n < 40; n++) capacity.update(sample({ processMs: 100, hostMs: 100 }));
  about(t, capacity.shared.capacity, 2);
  capacity.update(sample({ wallMs: 0, hostMs: 500 }));
  about(t, capacity.shared.capacity, 2);
  for (let n = 0; n < 40; n++) capacity.update(sample({ processMs: 100, hostMs: 9000 }));
  t.equal(capacity.shared.capacity, 0, 'never below nothing');
  t.end();
});
