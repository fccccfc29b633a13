/** Fills the latency table at start: every instance and batch size, on all engine threads at once, as it will serve. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Family } from '../family/instance.js';
import { BATCH_SIZES } from '../policy/picture.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Clock } from './clock.js';
import { againSamplesSchema, LatencyTable, latencySamplesSchema } from './latency.js';

/** Rounds after the warm-up, and the time after which no further run is begun. */
const ROUNDS = 8;
const TIME_BOX_MS = 15_000;

/**
 * Runs every instance at every batch size: one round of warm-up, then rounds that are recorded. Rounds, not repeats in
 * a row, so that a noisy second spoils no single cell. Size 1 of every instance is always measured, whatever the time,
 * and once more in a row: what that takes less it owes to the caches.
 */
export async function measureLatency(
  runtime: Runtime,
  families: readonly Family[],
  clock: Clock,
): Promise<LatencyTable> {
  const table = new LatencyTable(() => clock.now());
  const endMs = clock.now() + TIME_BOX_MS;
  const rounds = Array.from({ length: 1 + ROUNDS }, (_, round) =>
    runsOf(families).map((r) => ({ ...r, round })),
  ).flat();
  await runtime.onEveryThread(async (run) => {
    for (const { key, size, bytes, round } of rounds) {
      // A thread has run size 1 once before it says that it is ready, so only the others need a round to warm up.
      const measured = round > 0 || size === 1;
      const needed = round === 0 && size === 1;
      if (clock.now() > endMs && !needed) return;
      const timed = async () => {
        const startMs = clock.now();
        await run({ key, size, images: new ArrayBuffer(bytes) });
        return Math.max(0.001, clock.now() - startMs);
      };
      const ms = await timed();
      if (measured) table.measured(key, size, ms);
      if (measured && size === 1) table.measuredAgain(key, await timed());
    }
  });
  return table;
}

/** One run of each instance and batch size on each thread: the first is up to three times as slow as the next. */
export async function warmUp(runtime: Runtime, families: readonly Family[]): Promise<void> {
  await runtime.onEveryThread(async (run) => {
    for (const { key, size, bytes } of runsOf(families)) await run({ key, size, images: new ArrayBuffer(bytes) });
  });
}

function runsOf(families: readonly Family[]) {
  return BATCH_SIZES.flatMap((size) =>
    families.flatMap((f) => f.instances.map(({ key }) => ({ key, size, bytes: size * f.height * f.width * 3 }))),
  );
}

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

const FORMAT = 2;
const cacheSchema = z.object({
  format: z.literal(FORMAT),
  facts: z.unknown(),
  samples: latencySamplesSchema,
  again: againSamplesSchema,
});

/** Measurements of this host, kept between starts; a file that cannot be read or is of another format is as good as none. */
export class LatencyCache {
  readonly #path: string;
  readonly #folder: string;
  readonly #facts: unknown;

  constructor(folder: string, layout: Layout) {
    this.#facts = { ...layout, cpu: cpus()[0]?.model ?? 'unknown', node: process.version };
    const digest = createHash('sha256').update(JSON.stringify(this.#facts)).digest('hex').slice(0, 16);
    this.#folder = folder;
    this.#path = join(folder, `latency-${digest}.json`);
  }

  /** undefined if there is nothing usable, or not for every instance. */
  read(families: readonly Family[], clock: Clock): LatencyTable | undefined {
    try {
      const { samples, again } = cacheSchema.parse(JSON.parse(readFileSync(this.#path, 'utf8')));
      const table = LatencyTable.from(samples, () => clock.now(), again);
      return families.every((f) => f.instances.every((i) => table.has(i.key, 1))) ? table : undefined;
    } catch {
      return undefined;
    }
  }

  /** Written beside and renamed, so that a reader never sees half a file. Raises if the folder cannot be written. */
  write(table: LatencyTable): void {
    mkdirSync(this.#folder, { recursive: true });
    const temporary = `${this.#path}.${process.pid}`;
    const content = { format: FORMAT, facts: this.#facts, samples: table.samples(), again: table.againSamples() };
    writeFileSync(temporary, JSON.stringify(content));
    renameSync(temporary, this.#path);
  }
}
