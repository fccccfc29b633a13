/**
 * The measurement at start that the latency model is fitted to: runs of every instance on all engine threads at once,
 * as in service, then decodes of generated pictures. Instances and pictures take turns, so that a disturbance hits all
 * alike.
 */
import type { Family } from '../family/instance.js';
import { type DecodeSamples, ENOUGH, PICTURE_KINDS, type PictureKind, type RunSamples } from './baselines.js';
import { LOW } from './line.js';
import { quantileOf } from './quantile.js';

/** Time limits for runs and for decodes. After them only needed runs begin. Together they keep a start below 15 s. */
const RUNS_MS = 11_000;
const DECODES_MS = 3_000;
/** With fewer runs the LOW quantile is their minimum, so that a single reading would decide. */
const LEAST_ROUNDS = 5;
/**
 * Ratio above which most runs were disturbed by other load: of the median to the LOW quantile of the same runs, or of
 * wall time to CPU time.
 */
const BUSY = 1.25;

/** The engine threads, as the measurement needs them. */
export interface Runner {
  /** The sizes that a batch may have, smallest first. */
  readonly batchSizes: readonly number[];
  readonly threads: number;
  /**
   * Calls `work` once for each engine thread, all at the same time; `run` runs a batch on that thread. cpuMs: CPU time.
   */
  onEveryThread(
    work: (run: (batch: Batch) => Promise<{ readonly cpuMs: number | undefined }>) => Promise<void>,
  ): Promise<void>;
}
interface Batch {
  readonly key: string;
  readonly size: number;
  readonly images: ArrayBuffer;
}

interface Run {
  readonly key: string;
  readonly size: number;
  /** Size of the batch's images. */
  readonly bytes: number;
}

interface Step extends Run {
  /** Whether this run is made even after RUNS_MS. */
  readonly needed: boolean;
  /** Whether the time of this run is kept. */
  readonly counted: boolean;
}

/**
 * One run of each instance at this batch size; an int8 twin comes right after the float32 instance to compare it with.
 */
function runsOf(families: readonly Family[], size: number): Run[] {
  return families.flatMap(({ height, width, instances }) =>
    instances
      .toSorted(
        (a, b) =>
          (a.network ?? '').localeCompare(b.network ?? '') ||
          a.p - b.p ||
          a.r - b.r ||
          b.precision.length - a.precision.length,
      )
      .map(({ key }) => ({ key, size, bytes: size * height * width * 3 })),
  );
}

/**
 * The runs of each thread, in order. The first run of a batch size is up to three times slower than the next, so it is
 * not counted; at batch size 1 a thread did that run when it started. Every instance gets at least one counted run of
 * one picture, even when the time is over.
 */
function stepsOf(families: readonly Family[], sizes: readonly number[], rounds: number): Step[] {
  const alone = runsOf(families, 1);
  const batches = sizes.filter((size) => size > 1).flatMap((size) => runsOf(families, size));
  const round = [...batches, ...alone].map((run) => ({ ...run, needed: false, counted: true }));
  return [
    ...alone.map((run) => ({ ...run, needed: true, counted: true })),
    // The counted run follows the first one at once: where time is short, at least some instances are measured.
    ...batches.flatMap((run) => [false, true].map((counted) => ({ ...run, needed: false, counted }))),
    ...Array.from({ length: rounds }, () => round).flat(),
  ];
}

/**
 * The smallest and the largest batch size; sizes between them follow from the fitted line. A larger batch first uses
 * parts of the device that were idle, so each further picture takes at least as long as the one before. Then the line
 * is at or above the true time between the two sizes.
 */
export const measuredSizes = (batchSizes: readonly number[]): readonly number[] =>
  [...new Set([batchSizes[0], batchSizes.at(-1)])].filter((size) => size !== undefined);

export interface MeasuredRuns {
  /** CPU time, which other programs hardly change, if it is known for every run; else wall time. */
  readonly samples: RunSamples;
  /** Wall time. */
  readonly wall: RunSamples;
}

/** Runs every instance of the families at the given batch sizes. now: ms of a monotonic clock. */
export async function measureRuns(
  runner: Runner,
  families: readonly Family[],
  now: () => number,
  sizes: readonly number[] = measuredSizes(runner.batchSizes),
): Promise<MeasuredRuns> {
  const endMs = now() + RUNS_MS;
  const steps = stepsOf(families, sizes, Math.max(LEAST_ROUNDS, Math.ceil(ENOUGH / runner.threads)));
  const none = (): Record<string, Record<string, number[]>> =>
    Object.fromEntries(steps.map(({ key }) => [key, Object.fromEntries(sizes.map((size) => [size, []]))]));
  const [wall, cpu] = [none(), none()];
  let known = true;
  await runner.onEveryThread(async (run) => {
    for (const { key, size, bytes, needed, counted } of steps) {
      const startMs = now();
      if (startMs > endMs && !needed) return;
      const { cpuMs } = await run({ key, size, images: new ArrayBuffer(bytes) });
      if (!counted) continue;
      wall[key]?.[size]?.push(now() - startMs);
      if (cpuMs === undefined) known = false;
      else cpu[key]?.[size]?.push(cpuMs);
    }
  });
  return { samples: known ? cpu : wall, wall };
}

/** The decoder, as the measurement needs it. */
export interface Decoding {
  /** Makes an encoded picture of this format and size in pixels. */
  sample(kind: PictureKind, width: number, height: number): Promise<Uint8Array>;
  /** Decodes a picture for a family and returns the ms that the decode took. */
  decode(bytes: Uint8Array, family: Family): Promise<number>;
}

/** About half a megapixel: large enough that pixels take most of the decode, small enough to be encoded quickly. */
const LARGE = { width: 800, height: 600 };

/**
 * Decodes a small JPEG for each family, and a larger picture of each format for the first family. A format that this
 * host cannot encode or decode is left out. now: ms of a monotonic clock.
 */
export async function measureDecodes(
  { sample, decode }: Decoding,
  families: readonly Family[],
  now: () => number,
): Promise<DecodeSamples[]> {
  const endMs = now() + DECODES_MS;
  const pictures: { family: Family; bytes: Uint8Array; samples: DecodeSamples & { ms: number[] } }[] = [];
  const add = async (family: Family, kind: PictureKind, width: number, height: number) => {
    try {
      const bytes = await sample(kind, width, height);
      await decode(bytes, family); // not counted: the first decode of a format loads its library
      const samples = { family: family.name, kind, megapixels: (width * height) / 1e6, ms: [] };
      pictures.push({ family, bytes, samples });
    } catch {
      // A libvips without this format refuses it in service, too; a start does not depend on it.
    }
  };
  for (const family of families) await add(family, 'JPEG', 2 * family.width, 2 * family.height);
  const [first] = families;
  if (first) {
    for (const kind of PICTURE_KINDS) if (now() <= endMs) await add(first, kind, LARGE.width, LARGE.height);
  }
  for (let n = 0; n < LEAST_ROUNDS; n++) {
    for (const { bytes, family, samples } of pictures) {
      if (n > 0 && now() > endMs) break;
      samples.ms.push(await decode(bytes, family).catch(() => Number.NaN));
    }
  }
  return pictures.map(({ samples }) => ({ ...samples, ms: samples.ms.filter((ms) => ms >= 0) }));
}

/** Whether every picture was decoded LEAST_ROUNDS times. */
export const decodedEnough = (decodes: readonly DecodeSamples[]): boolean =>
  decodes.every(({ ms }) => ms.length >= LEAST_ROUNDS);

/** Whether every instance was run at every batch size that was to be measured. */
export const isComplete = (samples: RunSamples): boolean =>
  Object.values(samples).every((sizes) => Object.values(sizes).every((values) => values.length > 0));

/** Whether runs waited for CPUs that other programs used: their wall time is more than BUSY times their CPU time. */
export function wasDelayed({ samples, wall }: MeasuredRuns): boolean {
  const total = (of: RunSamples) =>
    Object.values(of)
      .flatMap((sizes) => Object.values(sizes).flat())
      .reduce((sum, ms) => sum + ms, 0);
  return total(wall) > BUSY * total(samples);
}

/** Whether the host was too busy to trust the measurement: runs of the same kind differed by more than BUSY. */
export function wasBusy(samples: RunSamples): boolean {
  const spreads = Object.values(samples)
    .flatMap((sizes) => Object.values(sizes))
    .filter((values) => values.length >= LEAST_ROUNDS)
    .map((values) => (quantileOf(values, 0.5) as number) / (quantileOf(values, LOW) as number));
  return (quantileOf(spreads, 0.5) ?? 1) > BUSY;
}
