/** Folders with the shared graphs of a family, one for each family, processor and way of making them. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.js';
import { sha256Of } from '../file-digest.js';
import { distrust, distrustFile, makeFolder, readOwn, writeOwn } from '../own-folder.js';
import type { Built } from './build.js';

/** Another value where what is written changes. */
const FORMAT = 3;
const INDEX = 'index.json';
const MOST_INDEX_BYTES = 1024 * 1024;
/**
 * An hour: files come into a folder that is being built every few seconds. Not much longer, as a service that is killed for
 * its memory each time it builds would fill the disk.
 */
const ABANDONED_MS = 3600 * 1000;
/** A month. Nobody has started with it for so long: a family that was exported again, or another onnxruntime. */
const STALE_MS = 30 * 24 * 3600 * 1000;
const BUILT = 'graphs-';
const BUILDING = '.graphs-';
const REPLACED = '.replaced-';
/** More than processes that start together do to each other. */
const MOST_TRIES = 10;

/** What these graphs are made from and for; another value of any of these asks for others. */
export type Facts = Readonly<Record<string, string>>;

const indexSchema = z.object({
  format: z.literal(FORMAT, `another format than ${FORMAT}`),
  facts: z.record(z.string(), z.string()),
  folded: z.object({ done: z.int().nonnegative(), of: z.int().nonnegative() }),
  mapped: z.int().nonnegative(),
  files: z.record(z.string(), z.object({ bytes: z.int().nonnegative(), sha256: z.string() })),
});
export type Index = z.infer<typeof indexSchema>;

export class GraphCache {
  readonly #root: string;

  /** root: CACHE_DIR. */
  constructor(root: string) {
    this.#root = resolve(root);
  }

  pathOf(facts: Facts): string {
    const digest = createHash('sha256').update(JSON.stringify({ FORMAT, facts })).digest('hex').slice(0, 24);
    return join(this.#root, `${BUILT}${digest}`);
  }

  /** What lies there and is whole; undefined if there is nothing. Raises Error that says why it cannot be used. */
  async find(facts: Facts): Promise<Index | undefined> {
    const folder = this.pathOf(facts);
    if (!existsSync(folder)) return undefined;
    for (const path of [this.#root, folder]) {
      const reason = distrust(path);
      if (reason !== undefined) throw new Error(reason);
    }
    const index = readIndex(join(folder, INDEX));
    if (JSON.stringify(index.facts) !== JSON.stringify(facts)) throw new Error(`${folder} was made for something else`);
    for (const [name, { bytes, sha256 }] of Object.entries(index.files)) {
      const path = join(folder, name);
      const found = lstatSync(path);
      const reason = distrustFile(found);
      if (reason !== undefined) throw new Error(`${path} is not used: ${reason}`);
      if (found.size !== bytes) throw new Error(`${path} has ${found.size} bytes and not ${bytes}`);
      if ((await sha256Of(path)) !== sha256) throw new Error(`${path} was changed, or the disk has lost some of it`);
    }
    this.markUsed(facts);
    return index;
  }

  /** Nobody deletes the folder as stale for the next month. A folder that may only be read, or is gone, is left as it is. */
  markUsed(facts: Facts): void {
    const now = new Date();
    try {
      utimesSync(join(this.pathOf(facts), INDEX), now, now);
    } catch {}
  }

  /** An empty folder to build in, beside the others. Raises what the file system says, or why nobody should write there. */
  begin(): string {
    makeFolder(this.#root);
    const reason = distrust(this.#root);
    if (reason !== undefined) throw new Error(reason);
    const folder = join(this.#root, `${BUILDING}${randomUUID()}`);
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  }

  /**
   * Gives what was built its name. Where another process was faster, its folder stays if it is whole, and the one that was
   * built here goes: sessions may be reading it. Raises what the file system says.
   */
  async publish(folder: string, facts: Facts, { folded, mapped }: Built): Promise<Index> {
    const files: Index['files'] = {};
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      files[name] = { bytes: statSync(path).size, sha256: await sha256Of(path) };
    }
    const index: Index = { format: FORMAT, facts: { ...facts }, folded: { ...folded }, mapped, files };
    writeOwn(join(folder, INDEX), JSON.stringify(index));
    const path = this.pathOf(facts);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (moved(folder, path)) return index;
      const other = await this.find(facts).catch(() => undefined);
      if (other) {
        this.discard(folder);
        return other;
      }
      const replaced = join(this.#root, `${REPLACED}${randomUUID()}`);
      if (moved(path, replaced)) this.discard(replaced);
    }
    throw new Error(`something else comes to ${path} again and again`);
  }

  discard(folder: string): void {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {} // a disk that fails; the next start tries again
  }

  /** Deletes what processes that were killed have left. */
  dropAbandoned(now = Date.now()): void {
    for (const start of [BUILDING, REPLACED]) this.#drop(start, now - ABANDONED_MS);
  }

  /** Deletes what nobody has used for a month. */
  dropStale(now = Date.now()): void {
    this.#drop(BUILT, now - STALE_MS);
  }

  #drop(start: string, beforeMs: number): void {
    for (const name of this.#names()) {
      if (!name.startsWith(start)) continue;
      const folder = join(this.#root, name);
      const index = join(folder, INDEX);
      const used = lstatSync(existsSync(index) ? index : folder, { throwIfNoEntry: false });
      if (used && used.mtimeMs < beforeMs) this.discard(folder);
    }
  }

  /** Of all that lies here; none if it is not there, or not ours alone: then nothing in it is ours to delete. */
  #names(): string[] {
    try {
      return distrust(this.#root) === undefined ? readdirSync(this.#root) : [];
    } catch {
      return [];
    }
  }
}

function readIndex(path: string): Index {
  try {
    const text = readOwn(path, MOST_INDEX_BYTES);
    if (text === undefined) throw new Error('it is not there');
    return indexSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path}: ${error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error)}`);
  }
}

/** There is something already at that path, a folder or a file, or nothing any more at the other. */
const MEANWHILE: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'ENOENT']);

/** false if something is in the way, or was taken away. Raises what else the file system says. */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && MEANWHILE.has(code)) return false;
    throw error;
  }
}
