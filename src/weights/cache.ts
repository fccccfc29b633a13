/** The folders of CACHE_DIR that hold shared graphs: one for each family, processor and way of building. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.js';
import { sha256Of } from '../file-digest.js';
import { distrust, distrustFile, makeFolder, readOwn, writeOwn } from '../own-folder.js';
import type { Built } from './build.js';

/** Version of what is written; raised when that changes. */
const FORMAT = 3;
const INDEX = 'index.json';
const MOST_INDEX_BYTES = 1024 * 1024;
/**
 * A half-built folder that has not changed for an hour was left by a process that was killed: a live build adds a file
 * every few seconds. A much longer time would let a service that is killed at every build fill the disk.
 */
const ABANDONED_MS = 3600 * 1000;
/** A finished folder that no start has used for a month is for a family or an onnxruntime that is gone. */
const STALE_MS = 30 * 24 * 3600 * 1000;
/** Names of folders begin so: finished, half built, and moved away to be deleted. */
const BUILT = 'graphs-';
const BUILDING = '.graphs-';
const REPLACED = '.replaced-';
/** Tries to publish a folder; more than can fail when several processes start together. */
const MOST_TRIES = 10;

/** The circumstances that graphs are built for (family, mode, onnxruntime, processor); others need other graphs. */
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

  /** The finished folder for these facts, whether it exists or not. */
  pathOf(facts: Facts): string {
    const digest = createHash('sha256').update(JSON.stringify({ FORMAT, facts })).digest('hex').slice(0, 24);
    return join(this.#root, `${BUILT}${digest}`);
  }

  /**
   * The index of the finished folder for these facts, after checking every file against it; undefined if there is no
   * such folder. Raises Error with the reason if the folder cannot be used.
   */
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

  /** Marks the folder as used now, so that it is not stale for a month. No error if it is read-only or gone. */
  markUsed(facts: Facts): void {
    const now = new Date();
    try {
      utimesSync(join(this.pathOf(facts), INDEX), now, now);
    } catch {}
  }

  /**
   * Makes an empty folder to build in. Raises the file system's errors, or Error if other users can write to CACHE_DIR.
   */
  begin(): string {
    makeFolder(this.#root);
    const reason = distrust(this.#root);
    if (reason !== undefined) throw new Error(reason);
    const folder = join(this.#root, `${BUILDING}${randomUUID()}`);
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  }

  /**
   * Writes the index of a built folder and renames the folder to its final path. If another process published a valid
   * folder first, that one stays, because sessions may be reading it, and this one is deleted. Returns the index of the
   * published folder. Raises the file system's errors.
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
    throw new Error(`${path} cannot be published: other processes replace it again and again`);
  }

  discard(folder: string): void {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {} // the next start tries again
  }

  /** Deletes folders that killed processes have left half built or half deleted. now: ms since 1970. */
  dropAbandoned(now = Date.now()): void {
    for (const start of [BUILDING, REPLACED]) this.#drop(start, now - ABANDONED_MS);
  }

  /** Deletes finished folders that no start has used for STALE_MS. now: ms since 1970. */
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

  /**
   * Names in CACHE_DIR; none if it does not exist or other users can write to it: then nothing there is ours to delete.
   */
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

/** Errors of rename that another process causes: the target exists already, or the source is gone. */
const LOST_RACE: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'ENOENT']);

/** Renames; false if the target exists or the source is gone (LOST_RACE). Raises other errors of the file system. */
function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && LOST_RACE.has(code)) return false;
    throw error;
  }
}
