/** Memory of this process. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const ROLLUP = '/proc/self/smaps_rollup';
const MIB = 1024;

/** MiB that nothing else shares and no file holds; undefined where there is no /proc. */
export function anonymousMb(file = ROLLUP): number | undefined {
  try {
    return kibOf(readFileSync(file, 'utf8'), 'Pss_Anon') / MIB;
  } catch {
    return undefined;
  }
}

/**
 * Bytes of the proportional set size: of what several processes share, this one's part. A file that is mapped several times
 * counts once, as it does not in the resident set size. Not on the event loop: the kernel takes milliseconds to count.
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
