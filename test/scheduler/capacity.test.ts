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

t.test('with nothing else to do, networks get what may be busy of the CPUs', (t) => {
  about(t, new Capacity(2, 1).engineThreads(2, 0), 1.4);
  about(t, new Capacity(4, 2).engineThreads(2, 0), 1.4);
  t.equal(new Capacity(8, 1).engineThreads(2, 0), 2, 'never more than there are threads');
  t.end();
});

t.test('what a picture costs besides its network grows with arrivals', (t) => {
  const capacity = new Capacity(2, 1);
  capacity.update(sample({ processMs: 900, engineMs: 400, pictures: 500 })); // 1 ms each
  about(t, capacity.engineThreads(2, 0.5), 0.9);
  about(t, capacity.engineThreads(2, 1), 0.4);
  about(t, capacity.engineThreads(2, 9), 0.2);
  capacity.update(sample({ processMs: 900, pictures: 3 }));
  about(t, capacity.engineThreads(2, 0.5), 0.9);
  capacity.update(sample({ processMs: 1500, engineMs: 0, pictures: 500 }));
  about(t, capacity.engineThreads(2, 0.5), 1.4 - 0.5 * (1 + 0.3 * 2));
  t.end();
});

t.test('who shares the host takes from networks, and gives back', (t) => {
  const capacity = new Capacity(2, 1);
  for (let n = 0; n < 40; n++) capacity.update(sample({ processMs: 100, hostMs: 900 }));
  about(t, capacity.engineThreads(2, 0), 0.6);
  for (let n = 0; n < 40; n++) capacity.update(sample({ processMs: 100, hostMs: 100 }));
  about(t, capacity.engineThreads(2, 0), 1.4);
  capacity.update(sample({ wallMs: 0, hostMs: 500 }));
  about(t, capacity.engineThreads(2, 0), 1.4);
  t.end();
});
