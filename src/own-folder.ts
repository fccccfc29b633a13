/** Folders and files whose content is believed, so that nobody else may have written it. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** Write permission of the group and of others. */
const WRITABLE_BY_OTHERS = 0o022;

/** Those who can write whatever they like anyway. */
const SUPERUSER = 0;

/** undefined where users have no numbers (Windows): then owners and modes say nothing. */
const ownUser = (): number | undefined => process.geteuid?.();

/**
 * Makes a folder and those it lies in, for this user alone; what is there stays as it is. One after another from the
 * root: Node's own `recursive` never ends where a parent exists and yet nothing can be made in it, as in /proc. Raises
 * what the file system says.
 */
export function makeFolder(path: string): void {
  const absolute = resolve(path);
  if (isFolder(absolute)) return;
  const parent = dirname(absolute);
  if (parent !== absolute) makeFolder(parent);
  try {
    mkdirSync(absolute, { mode: 0o700 });
  } catch (error) {
    if (!isFolder(absolute)) throw error; // another process may have made it meanwhile
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Why what lies in this folder, or where its links lead, may be somebody else's; undefined if it can be believed. */
export function distrust(folder: string): string | undefined {
  const user = ownUser();
  if (user === undefined) return undefined;
  const real = realpathSync(folder);
  const { uid, mode } = statSync(real);
  if (uid !== user && uid !== SUPERUSER)
    return `${real} belongs to user ${uid} and not to ${user}, who runs the service`;
  if (mode & WRITABLE_BY_OTHERS) return `${real} can be written by others (mode ${(mode & 0o7777).toString(8)})`;
  return undefined;
}

/** Why a file with these facts may be somebody else's, a link or a pipe; undefined if it can be believed. */
export function distrustFile(facts: Stats): string | undefined {
  const user = ownUser();
  if (!facts.isFile()) return 'it is no plain file';
  if (user === undefined) return undefined;
  if (facts.uid !== user && facts.uid !== SUPERUSER) return `it belongs to user ${facts.uid}`;
  if (facts.mode & WRITABLE_BY_OTHERS) return 'it can be written by others';
  return undefined;
}

/**
 * The text of a file that nobody else could have written; undefined if there is none. Raises what the file system says,
 * or Error that says why it is not believed: a link, a pipe, another user's, or larger than mostBytes.
 */
export function readOwn(path: string, mostBytes: number): string | undefined {
  let file: number;
  try {
    // Without waiting for who writes, should it be a pipe.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const facts = fstatSync(file);
    const reason = distrustFile(facts);
    if (reason !== undefined) throw new Error(reason);
    if (facts.size > mostBytes) throw new Error(`it has ${facts.size} bytes; at most ${mostBytes} are expected`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/**
 * Written beside and renamed, so that a reader never sees half a file; of one that could not be written nothing is left.
 * Raises what the file system says.
 */
export function writeOwn(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
