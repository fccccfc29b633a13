/** Folders and files whose content the service trusts: only this user, or the superuser, may be able to write them. */
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

/** The superuser's number; that user can write any file anyway. */
const SUPERUSER = 0;

/** This process's effective user number; undefined on Windows, where owners and modes are not checked. */
const ownUser = (): number | undefined => process.geteuid?.();

/**
 * Makes a folder and its missing parents, with access for this user only; existing folders stay as they are. Does not
 * use Node's `recursive`, which never ends where a parent exists but nothing can be made in it, as in /proc. Raises the
 * file system's errors.
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

/**
 * Why a folder (the target, for a link) cannot be trusted: another owner, or writable by others. undefined if it can.
 */
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

/**
 * Why a file with these facts cannot be trusted: no plain file, another owner, or writable by others. undefined if it
 * can.
 */
export function distrustFile(facts: Stats): string | undefined {
  const user = ownUser();
  if (!facts.isFile()) return 'it is no plain file';
  if (user === undefined) return undefined;
  if (facts.uid !== user && facts.uid !== SUPERUSER) return `it belongs to user ${facts.uid}`;
  if (facts.mode & WRITABLE_BY_OTHERS) return 'it can be written by others';
  return undefined;
}

/**
 * The text of a trusted file; undefined if it does not exist. Raises the file system's errors, or Error with the reason
 * if the file cannot be trusted (distrustFile) or is larger than mostBytes.
 */
export function readOwn(path: string, mostBytes: number): string | undefined {
  let file: number;
  try {
    // O_NONBLOCK: should the file be a pipe, opening it must not wait for a writer.
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
 * Writes a file that only this user can read, atomically: it is written under another name and then renamed, so that no
 * reader sees half of it. Nothing is left behind if that fails. Raises the file system's errors.
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
