/**
 * The folders of MODELS_DIR as the source of families while the service runs: by name on an operator's call, or whenever
 * a folder changes (MODELS_WATCH). One change at a time. A family that cannot be served is refused with the reason, and
 * what was served before stays in service.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { DimmerError, messageOf, StartError } from './errors.js';
import type { Families } from './families.js';
import type { Family } from './family/instance.js';
import { loadFamily } from './family/load.js';
import { draining, type Listed, type ModelRepository } from './http/state.js';
import type { Metrics } from './telemetry/metrics.js';

/** How often folders are looked at: it takes a few ms, and nobody needs a new family sooner. */
const EVERY_MS = 2000;

export interface RepositoryParts {
  readonly families: Families;
  /** MODELS_DIR. */
  readonly folder: string;
  readonly watch: boolean;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * The families to start with. If there is none and `watch` is set, waits for the first. onNone: called once before it
 * waits. Raises StartError, or the signal's AbortError.
 */
export async function firstFamilies({
  load,
  watch,
  signal,
  onNone,
}: {
  readonly load: () => Promise<Family[]>;
  readonly watch: boolean;
  readonly signal: AbortSignal;
  readonly onNone: () => void;
}): Promise<Family[]> {
  for (let told = false; ; told = true) {
    const families = await load();
    if (families.length > 0 || !watch) return families;
    if (!told) onNone();
    await sleep(EVERY_MS, undefined, { signal });
  }
}

/** A folder as it was when it was last looked at. */
interface Seen {
  /** Of its files, and of the folder that has the name of its family already. */
  readonly signature: string;
  /** Name of its family; undefined if it was never valid. */
  readonly name: string | undefined;
  readonly reason: string | undefined;
}

export class Repository implements ModelRepository {
  readonly #parts: RepositoryParts;
  readonly #oneAtATime = pLimit(1);
  readonly #seen = new Map<string, Seen>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(parts: RepositoryParts) {
    this.#parts = parts;
    // Without a signature: they may have changed since they were read.
    for (const { family } of parts.families.catalog.families)
      this.#seen.set(family.folder, { signature: '', name: family.name, reason: undefined });
    if (parts.watch) this.#lookLater();
  }

  get watches(): boolean {
    return this.#parts.watch;
  }

  get index(): Listed[] {
    const served = this.#parts.families.catalog.families.map(({ family }) => family);
    const reasons = [...this.#seen].filter(([, { reason }]) => reason !== undefined);
    const reasonOf = (name: string) => reasons.find(([folder, seen]) => (seen.name ?? folder) === name)?.[1].reason;
    const others = reasons
      .map(([folder, seen]) => seen.name ?? folder)
      .filter((n) => !served.some((f) => f.name === n));
    return [
      ...served.map(({ name, version }) => ({ name, version, reason: reasonOf(name) })),
      ...others.map((name) => ({ name, version: undefined, reason: reasonOf(name) })),
    ];
  }

  load(name: string): Promise<void> {
    return this.#oneAtATime(async () => {
      this.#throwIfEnding();
      const folders: string[] = [];
      for (const folder of await this.#folders()) if ((await nameIn(this.#path(folder))) === name) folders.push(folder);
      const [folder] = folders;
      if (folder === undefined) throw unknown(name, 'no folder of MODELS_DIR holds');
      if (folders.length > 1) throw refused(name, `several folders of MODELS_DIR hold a family of that name`);
      this.#forget(name, folder); // folders that held it before: by their manifests they do so no longer
      const reason = await this.#serve(folder, await signatureOf(this.#path(folder)));
      if (reason === undefined) return;
      this.#throwIfEnding();
      throw refused(name, reason);
    });
  }

  unload(name: string): Promise<void> {
    return this.#oneAtATime(async () => {
      this.#throwIfEnding();
      if (!this.#parts.families.catalog.find(name)) throw unknown(name, 'the service has no');
      const reason = await this.#remove(name);
      if (reason !== undefined) throw refused(name, reason);
      this.#forget(name);
    });
  }

  /** Serves what the folders hold now: new families, changed ones, and no longer those whose folder is gone. */
  follow(): Promise<void> {
    return this.#oneAtATime(async () => {
      const folders = await this.#folders();
      for (const folder of this.#seen.keys()) if (!folders.includes(folder)) this.#seen.delete(folder);
      const others = await this.#others(folders);
      for (const folder of folders) if (!this.#ends) await this.#serveIfChanged(folder, others.get(folder));
      if (!this.#ends) await this.#removeGone();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#oneAtATime(() => {}); // the changes that wait before this one are refused
  }

  /** Forgets folders that hold a family, but this one. */
  #forget(name: string, but?: string): void {
    for (const [folder, seen] of this.#seen) if (folder !== but && seen.name === name) this.#seen.delete(folder);
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      this.follow()
        .catch((error: unknown) => this.#parts.logger.error({ err: error }, 'MODELS_DIR cannot be read'))
        .finally(() => !this.#closed && this.#lookLater());
    }, EVERY_MS).unref();
  }

  get #ends(): boolean {
    return this.#closed || this.#parts.families.ending;
  }

  /** Raises DimmerError draining. */
  #throwIfEnding(): void {
    if (this.#ends) throw draining('the service is about to shut down, and loads and unloads no family any more');
  }

  #path(folder: string): string {
    return join(this.#parts.folder, folder);
  }

  /** Names of the folders that hold a manifest. */
  async #folders(): Promise<string[]> {
    const names = (await readdir(this.#parts.folder)).sort();
    const held = await Promise.all(
      names.map((name) => stat(join(this.#path(name), 'manifest.json')).catch(() => null)),
    );
    return names.filter((_, n) => held[n]);
  }

  /**
   * For each folder the one that has the name of its family already, if there is one. By the manifests as they are now,
   * since a name can go from one folder to another; one that cannot be read holds what it held before. Of several
   * folders with the same name the one that is served has it, or else the first.
   */
  async #others(folders: readonly string[]): Promise<Map<string, string>> {
    const owners = new Map<string, string>();
    const names = new Map<string, string>();
    for (const folder of folders) {
      const before = this.#seen.get(folder)?.name;
      const name = (await nameIn(this.#path(folder))) ?? before;
      if (name === undefined) continue;
      names.set(folder, name);
      if (!owners.has(name) || before === name) owners.set(name, folder);
    }
    const all = [...names].map(([folder, name]) => [folder, owners.get(name) as string] as const);
    return new Map(all.filter(([folder, owner]) => owner !== folder));
  }

  /** other: a folder that has the name of the family in this one. */
  async #serveIfChanged(folder: string, other: string | undefined): Promise<void> {
    const signature = `${await signatureOf(this.#path(folder))}${other === undefined ? '' : ` beside ${other}`}`;
    if (this.#seen.get(folder)?.signature !== signature) await this.#serve(folder, signature, other);
  }

  /** Serves the family in a folder. Returns why it cannot be served; undefined if it is. */
  async #serve(folder: string, signature: string, other?: string): Promise<string | undefined> {
    const { families, logger, metrics } = this.#parts;
    let name = this.#seen.get(folder)?.name;
    let reason: string | undefined;
    try {
      const family = await loadFamily(this.#path(folder));
      if (other !== undefined)
        throw new StartError(`the folders ${other} and ${folder} both hold a family named ${family.name}; rename one`);
      name = family.name;
      if (families.catalog.find(name)?.family.version !== family.version) {
        await families.serve(family);
        metrics.familyChanges.inc({ event: 'served' });
        logger.info({ model: name, version: family.version }, 'family served');
      }
    } catch (error) {
      reason = reasonOf(error);
      if (this.#ends) return reason; // not the fault of the family
      metrics.familyChanges.inc({ event: 'refused' });
      logger.error(
        { folder, reason, ...(!(error instanceof StartError) && { err: error }) },
        'this family is not served; what was served before stays',
      );
    }
    this.#seen.set(folder, { signature, name, reason });
    return reason;
  }

  /** Removes the families that no folder holds. */
  async #removeGone(): Promise<void> {
    const names = new Set([...this.#seen.values()].map((seen) => seen.name));
    for (const name of this.#parts.families.catalog.names) if (!names.has(name)) await this.#remove(name);
  }

  async #remove(name: string): Promise<string | undefined> {
    const { families, logger, metrics } = this.#parts;
    try {
      await families.remove(name);
      metrics.familyChanges.inc({ event: 'removed' });
      return undefined;
    } catch (error) {
      const reason = reasonOf(error);
      logger.error({ model: name, reason }, 'this family is not removed');
      return reason;
    }
  }
}

/** The name in a folder's manifest, which may otherwise be invalid; undefined if there is none. */
async function nameIn(path: string): Promise<string | undefined> {
  try {
    return (JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8')) as { name?: string }).name;
  } catch {
    return undefined;
  }
}

/** Changes whenever a file of the folder does: names, sizes and times of its files. Symbolic links are followed. */
async function signatureOf(path: string): Promise<string> {
  const names = (await readdir(path).catch(() => [])).sort();
  const facts = await Promise.all(
    names.map(async (name) => {
      const found = await stat(join(path, name)).catch(() => undefined);
      return [name, found?.size, found?.mtimeMs, found?.ino];
    }),
  );
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

/** Why a family cannot be served. Texts of native code and of the file system are for the log only. */
const reasonOf = (error: unknown): string =>
  error instanceof StartError ? messageOf(error) : 'it cannot be read or run; the log has why';

const unknown = (name: string, who: string) =>
  new DimmerError('unknown-model', {
    detail: `${who} family named ${name}`,
    expected: 'the name in the manifest.json of a family',
    action: 'GET /v2/repository/index lists what there is',
  });

const refused = (name: string, reason: string) =>
  new DimmerError('refused-model', {
    detail: `${name}: ${reason}`,
    expected: 'a family that `sdpoint export` has written, copied as a whole',
    action: 'mend the folder and try again; what was served before stays in service',
  });
