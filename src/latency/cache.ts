/** The measurement of this host, kept in a file of CACHE_DIR between starts. */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.js';
import type { Family } from '../family/instance.js';
import { distrust, makeFolder, readOwn, writeOwn } from '../own-folder.js';
import { type Baselines, baselinesSchema } from './baselines.js';

/** The circumstances of a measurement. When one of these changes, the host is measured again. */
export interface Layout {
  readonly device: string;
  readonly engineThreads: number;
  readonly onnxThreads: number;
  readonly onnxruntime: string;
  readonly allocator: string;
  /** `name@version` of every family. */
  readonly families: readonly string[];
  /** How the weights of each family lie in memory, in the order of `families`: it changes service times. */
  readonly weights: readonly string[];
}

export interface Measured {
  readonly baselines: Baselines;
  /** Keys of the int8 instances that are served in place of their float32 ones. */
  readonly fasterTwins: ReadonlySet<string>;
  /** false if the host was too busy to trust the times: the next start measures them again, but keeps `fasterTwins`. */
  readonly settled: boolean;
}

/** A kept run below this is not credible: two messages between threads, which every run needs, take longer. */
const LEAST_SENSIBLE_MS = 0.005;
/** A kept time above this is not credible: no service would be run with it. */
const MOST_SENSIBLE_MS = 60_000;

/** The largest file that is read. A hundred instances take some ten kilobytes. */
const MOST_BYTES = 1024 * 1024;

const FORMAT = 4;
const cacheSchema = z.object({
  format: z.literal(FORMAT, `another format than ${FORMAT}`),
  facts: z.unknown(),
  baselines: baselinesSchema,
  fasterTwins: z.array(z.string()),
  settled: z.boolean(),
});

export class LatencyCache {
  readonly #path: string;
  readonly #folder: string;
  readonly #facts: unknown;

  constructor(folder: string, layout: Layout) {
    this.#facts = { ...layout, cpu: cpus()[0]?.model ?? 'unknown', node: process.version };
    const digest = createHash('sha256').update(JSON.stringify(this.#facts)).digest('hex').slice(0, 16);
    this.#folder = resolve(folder);
    this.#path = join(this.#folder, `latency-${digest}.json`);
  }

  /**
   * The kept measurement; undefined if there is none, or if it cannot be trusted or lacks an instance of `families`. In
   * the latter case `onUnusable` gets the reason, for the log.
   */
  read(families: readonly Family[], onUnusable: (reason: string) => void = () => {}): Measured | undefined {
    try {
      const text = readOwn(this.#path, MOST_BYTES);
      if (text === undefined) return undefined;
      const reason = distrust(this.#folder);
      if (reason !== undefined) throw new Error(reason);
      const { facts, baselines, fasterTwins, settled } = cacheSchema.parse(JSON.parse(text));
      if (JSON.stringify(facts) !== JSON.stringify(this.#facts)) throw new Error('it is about another host or layout');
      const nonsense = nonsenseOf(baselines, families);
      if (nonsense !== undefined) throw new Error(nonsense);
      return { baselines, fasterTwins: new Set(fasterTwins), settled };
    } catch (error) {
      onUnusable(`${this.#path}: ${error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error)}`);
      return undefined;
    }
  }

  /** Raises Error if the folder cannot be made or written, or if other users can write to it. */
  write({ baselines, fasterTwins, settled }: Measured): void {
    makeFolder(this.#folder);
    const reason = distrust(this.#folder);
    if (reason !== undefined) throw new Error(reason);
    const twins = [...fasterTwins].sort();
    const content = { format: FORMAT, facts: this.#facts, baselines, fasterTwins: twins, settled };
    writeOwn(this.#path, JSON.stringify(content));
  }
}

/** Why these times are not credible, or undefined if they are: the file may be forged or damaged. */
function nonsenseOf({ runs, families: decodes, kinds }: Baselines, families: readonly Family[]): string | undefined {
  const ofRuns = families.flatMap((f) => f.instances.map(({ key }) => oddRun(key, runs)));
  const others = [...Object.entries(decodes), ...Object.entries(kinds)];
  const slow = others.find(([, ms]) => ms > MOST_SENSIBLE_MS);
  const ofDecodes = slow && `decoding for ${slow[0]} cannot take ${slow[1]} ms`;
  return [...ofRuns, ofDecodes].find((reason) => reason !== undefined);
}

function oddRun(key: string, runs: Baselines['runs']): string | undefined {
  const line = Object.hasOwn(runs, key) ? runs[key] : undefined;
  if (!line) return `${key} was not measured`;
  const ms = line.aMs + line.bMs;
  return ms < LEAST_SENSIBLE_MS || ms > MOST_SENSIBLE_MS ? `a run of ${key} cannot take ${ms} ms` : undefined;
}
