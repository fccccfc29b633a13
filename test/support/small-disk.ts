import { execFileSync } from 'node:child_process';
import type { Test } from 'tap';
import { temporaryFolder } from './app.js';

/** A file system of 64 KiB; undefined, and the test is skipped, where it cannot be mounted: that is the right of root. */
export function mountSmall(t: Test): string | undefined {
  const folder = temporaryFolder(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    t.pass('skipped', { skip: 'no right to mount a small file system' });
    return undefined;
  }
  t.teardown(() => execFileSync('umount', [folder]));
  return folder;
}
