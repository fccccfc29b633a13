/** What was measured of this host, kept between starts. */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../errors.js';
import type { Family } from '../family/instance.js';
import { BATCH_SIZES } from '../policy/picture.js';
import { distrust, makeFolder, readOwn, writeOwn } from '../runtime/own-folder.js';
import type { Clock } from './clock.js';
import {
  type AgainSamples,
  againSamplesSchema,
  type LatencySamples,
  LatencyTable,
  latencySamplesSchema,
} from './latency.js';
import { quantile } from './recent.js';

/** What a measurement holds for; another value of any of these asks for a new one. */
export interface Layout {
  readonly device: string;
  readonly engineThreads: number;
  readonly onnxThreads: number;
  readonly onnxruntime: string;
  readonly allocator: string;
  /** `name@version` of every family. */
  readonly families: readonly string[];
}

/** A run crosses two borders between threads, which alone takes longer. */
const LEAST_SENSIBLE_MS = 0.005;
/** Nobody serves pictures that take longer. */
const MOST_SENSIBLE_MS = 60_000;
/**
 * A batch does the work of each of its pictures, on the same threads: at best, where threads were idle before, it takes no
 * longer than one. Half of that can be noise, less is not; and nor are so many times what they take one by one.
 */
const LEAST_OF_ONE = 0.5;
const MOST_OF_EACH = 10;

/** A hundred instances with full cells have about a megabyte. */
const MOST_BYTES = 16 * 1024 * 1024;

const FORMAT = 3;
const cacheSchema = z.object({
  format: z.literal(FORMAT, `another format than ${FORMAT}`),
  facts: z.unknown(),
  samples: latencySamplesSchema,
  again: againSamplesSchema,
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
   * undefined if nothing was kept, or nothing that can be believed, for every instance at every size; told: why what is
   * there is not used.
   */
  read(families: readonly Family[], clock: Clock, told: (reason: string) => void = () => {}): LatencyTable | undefined {
    try {
      const text = readOwn(this.#path, MOST_BYTES);
      if (text === undefined) return undefined;
      const reason = distrust(this.#folder);
      if (reason !== undefined) throw new Error(reason);
      const { facts, samples, again } = cacheSchema.parse(JSON.parse(text));
      if (JSON.stringify(facts) !== JSON.stringify(this.#facts)) throw new Error('it is about another host or layout');
      const nonsense = nonsenseOf(samples, again, families);
      if (nonsense !== undefined) throw new Error(nonsense);
      return LatencyTable.from(samples, () => clock.now(), again);
    } catch (error) {
      told(`${this.#path}: ${error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error)}`);
      return undefined;
    }
  }

  /** Raises Error if the folder cannot be made or written, or is not this user's alone. */
  write(table: LatencyTable): void {
    makeFolder(this.#folder);
    const reason = distrust(this.#folder);
    if (reason !== undefined) throw new Error(reason);
    const content = { format: FORMAT, facts: this.#facts, samples: table.samples(), again: table.againSamples() };
    writeOwn(this.#path, JSON.stringify(content));
  }
}

/** What in these times cannot be so; undefined if nothing. Somebody may have written them, or a disk lost some. */
function nonsenseOf(samples: LatencySamples, again: AgainSamples, families: readonly Family[]): string | undefined {
  for (const { key } of families.flatMap((f) => f.instances)) {
    const sizes = samples[key] ?? {};
    const nonsense =
      oddIn(again[key] ?? [], `${key} right after another run of it`) ??
      BATCH_SIZES.map((size) => oddBatch(key, sizes, size)).find((reason) => reason !== undefined);
    if (nonsense !== undefined) return nonsense;
  }
  return undefined;
}

/** Runs of less are as long as what else the host does in between: a quick one may be measured at a multiple of its time. */
const NOISE_MS = 2;

function oddBatch(key: string, sizes: LatencySamples[string], size: number): string | undefined {
  const values = sizes[size];
  if (!values) return `${key} was not measured at batch size ${size}`;
  const odd = oddIn(values, `${key} at batch size ${size}`);
  if (odd !== undefined) return odd;
  const [one, all] = [median(sizes[1] as number[]), median(values)];
  const least = LEAST_OF_ONE * one - NOISE_MS;
  const most = MOST_OF_EACH * size * one + NOISE_MS;
  if (all >= least && all <= most) return undefined;
  return `${key} cannot take ${one} ms for one picture and ${all} ms for ${size}`;
}

function oddIn(values: readonly number[], what: string): string | undefined {
  const odd = values.find((ms) => ms < LEAST_SENSIBLE_MS || ms > MOST_SENSIBLE_MS);
  return odd === undefined ? undefined : `${odd} ms cannot be what a run took: ${what}`;
}

const median = (values: readonly number[]) =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  ) as number;
