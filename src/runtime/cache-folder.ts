/** Where this user's caches lie. */
import { accessSync, constants, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * As the XDG base directory specification has it: in XDG_CACHE_HOME, which counts only if it is absolute, else in ~/.cache.
 * A user without a home that can be written (as many are in containers) has a folder of its own in the temporary one.
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
    return undefined; // a user number that no list of users knows
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
