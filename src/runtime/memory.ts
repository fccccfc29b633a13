/** Reads how much memory this process takes. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const ROLLUP = '/proc/self/smaps_rollup';
const MIB = 1024;

/** MiB of anonymous memory (not backed by a file) of this process; undefined where there is no /proc. */
export function anonymousMb(file = ROLLUP): number | undefined {
  try {
    return kibOf(readFileSync(file, 'utf8'), 'Pss_Anon') / MIB;
  } catch {
    return undefined;
  }
}

/**
 * Proportional set size (PSS) in bytes: memory that n processes share counts as one n-th. A file that is mapped several
 * times counts once, unlike in the resident set size. undefined where there is no /proc. Asynchronous, because the
 * kernel takes milliseconds to compute it.
 */
export async function sharedOutBytes(file = ROLLUP): Promise<number | undefined> {
  try {
    return kibOf(await readFile(file, 'utf8'), 'Pss') * 1024;
  } catch {
    return undefined;
  }
}

function kibOf(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  if (!found) throw new Error(`no ${name}`);
  return Number(found[1]);
}
