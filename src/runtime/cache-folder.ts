/** The default of CACHE_DIR. */
import { accessSync, constants, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The cache folder by the XDG base directory specification: in XDG_CACHE_HOME if that is an absolute path, else in
 * ~/.cache. A user without a writable home folder, as is common in containers, gets a folder of their own in the
 * temporary folder.
 */
export function defaultCacheFolder(environment: Record<string, string | undefined>): string {
  const { XDG_CACHE_HOME } = environment;
  if (XDG_CACHE_HOME !== undefined && isAbsolute(XDG_CACHE_HOME)) return join(XDG_CACHE_HOME, 'dimmer');
  const home = environment.HOME || homeOfUser();
  if (home !== undefined && isAbsolute(home) && isWritableFolder(home)) return join(home, '.cache', 'dimmer');
  return join(environment.TMPDIR || tmpdir(), `dimmer-cache-${process.geteuid?.() ?? 'user'}`);
}

function homeOfUser(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined; // the user number has no entry in the user database
  }
}

function isWritableFolder(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
