import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { hostCpuMs, processCpuMs, threadCpuMs } from '../../src/runtime/cpu-time.js';
import { temporaryFolder } from '../support/app.js';

t.test('this process uses CPU time', (t) => {
  const before = processCpuMs();
  for (const endMs = performance.now() + 50; performance.now() < endMs; );
  t.ok(processCpuMs() > before);
  t.end();
});

t.test('the host’s busy time leaves out idle time, I/O wait and the double count of guests', (t) => {
  const file = join(temporaryFolder(t), 'stat');
  writeFileSync(file, 'cpu  100 20 30 99999 888 4 6 77 5 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n');
  t.equal(hostCpuMs(file), 1600);
  t.equal(hostCpuMs('/nowhere/stat'), undefined);
  writeFileSync(file, 'nothing of the kind');
  t.equal(hostCpuMs(file), undefined);
  t.end();
});

t.test('a thread’s CPU time grows while it works and not while it waits; undefined without /proc', async (t) => {
  if (process.platform === 'linux') {
    const beforeMs = threadCpuMs() as number;
    const startMs = performance.now();
    const workedMs = () => (threadCpuMs() as number) - beforeMs;
    // However busy the host is: half a minute brings 20 ms of work.
    while (workedMs() < 20 && performance.now() < startMs + 30_000);
    t.ok(workedMs() >= 20 && workedMs() <= performance.now() - startMs + 10, `${workedMs()} ms`);
    const afterMs = threadCpuMs() as number;
    await new Promise((resolve) => setTimeout(resolve, 200));
    t.ok((threadCpuMs() as number) - afterMs < 190, 'waiting is no work');
  }
  t.equal(threadCpuMs('/nowhere/schedstat'), undefined);
  const file = join(temporaryFolder(t), 'schedstat');
  for (const text of ['0 0 0\n', 'nothing of the kind']) {
    writeFileSync(file, text);
    t.equal(threadCpuMs(file), undefined);
  }
});
