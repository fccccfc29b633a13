import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { hostCpuMs, processCpuMs } from '../../src/runtime/cpu-time.js';
import { temporaryFolder } from '../support/app.js';

t.test('this process uses CPU time', (t) => {
  const before = processCpuMs();
  for (const endMs = performance.now() + 50; performance.now() < endMs; );
  t.ok(processCpuMs() > before);
  t.end();
});

t.test('the host’s busy time, without idle, waiting and what guests count twice', (t) => {
  const file = join(temporaryFolder(t), 'stat');
  writeFileSync(file, 'cpu  100 20 30 99999 888 4 6 77 5 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n');
  t.equal(hostCpuMs(file), 1600);
  t.equal(hostCpuMs('/nowhere/stat'), undefined);
  writeFileSync(file, 'nothing of the kind');
  t.equal(hostCpuMs(file), undefined);
  t.end();
});
