import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { anonymousMb, sharedOutBytes } from '../../src/runtime/memory.js';
import { temporaryFolder } from '../support/app.js';

t.test('memory of this process, from the kernel; undefined without /proc', async (t) => {
  const file = join(temporaryFolder(t), 'smaps_rollup');
  writeFileSync(file, '00400000-7fff ---p 00000000 00:00 0  [rollup]\nPss:      2048 kB\nPss_Anon:      1024 kB\n');
  t.equal(anonymousMb(file), 1);
  t.equal(await sharedOutBytes(file), 2 * 1024 * 1024);
  writeFileSync(file, 'Rss: 1 kB\n');
  for (const path of [file, '/nowhere'])
    t.same([anonymousMb(path), await sharedOutBytes(path)], [undefined, undefined]);
  if (process.platform !== 'linux') return;
  const before = anonymousMb() as number;
  const held = Buffer.alloc(64 * 1024 * 1024, 1);
  const grown = (anonymousMb() as number) - before;
  t.ok(held.length > 0 && grown > 48 && grown < 96, `${grown} MiB`);
});
