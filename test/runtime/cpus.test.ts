import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { cgroupCpus } from '../../src/runtime/cpus.js';
import { temporaryFolder } from '../support/app.js';

t.test('the quota of the cgroup bounds the CPUs', (t) => {
  const file = join(temporaryFolder(t), 'cpu.max');
  const cpus = (text: string) => {
    writeFileSync(file, text);
    return cgroupCpus(file);
  };
  t.equal(cpus('200000 100000\n'), 2);
  t.equal(cpus('150000 100000\n'), 1);
  t.equal(cpus('50000 100000\n'), 1, 'never none');
  t.equal(cpus('max 100000\n'), Number.POSITIVE_INFINITY);
  t.equal(cgroupCpus(join(temporaryFolder(t), 'none')), Number.POSITIVE_INFINITY, 'no cgroup, as on macOS');
  t.end();
});
