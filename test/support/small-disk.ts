import { execFileSync } from 'node:child_process';
import type { Test } from 'tap';
import { temporaryFolder } from './app.js';

/** Mounts a file system of 64 KiB; if that is not permitted (only root may), skips the test and returns undefined. */
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
