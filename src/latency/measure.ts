/**
 * Measures at start what the model goes by: runs of every instance on all engine threads at once, as it will serve, then
 * decodes of generated pictures. Everything takes turns, so that whatever disturbs the host hits all alike.
 */
import type { Family } from '../family/instance.js';
import { type DecodeSamples, ENOUGH, PICTURE_KINDS, type PictureKind, type RunSamples } from './baselines.js';
import { LOW } from './line.js';
import { quantileOf } from './quantile.js';

/** The smallest and the largest batch that runs; the others lie on the line. */
export const MEASURED_SIZES = [1, 8] as const;
/** After this no further run is begun, but for those that are needed; with decodes all of it stays within 15 s. */
const RUNS_MS = 11_000;
const DECODES_MS = 3_000;
/** Of fewer runs a low quantile is the smallest, and one reading decides. */
const LEAST_ROUNDS = 5;
/**
 * Where the median of the runs of one kind is so much above their low quantile, most of them were disturbed; so they were where
 * the time that passed is so much above the CPU time.
 */
const BUSY = 1.25;

/** What runs batches. */
export interface Runner {
  readonly threads: number;
  /** cpuMs: CPU time of the run, where it is known. */
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
  /** Of the images. */
  readonly bytes: number;
}

interface Step extends Run {
  /** Run whatever the time. */
  readonly needed: boolean;
  readonly counted: boolean;
}

/** Instance after instance; an int8 twin right after the float32 one that it is compared with. */
function runsOf(families: readonly Family[], size: number): Run[] {
  return families.flatMap(({ height, width, instances }) =>
    instances
      .toSorted((a, b) => a.p - b.p || a.r - b.r || b.precision.length - a.precision.length)
      .map(({ key }) => ({ key, size, bytes: size * height * width * 3 })),
  );
}

/**
 * The first runs of a batch size are up to three times as slow as the next, and never counted; of one picture a thread
 * has made it before it says that it is ready. Whatever the time, each instance has a run of one picture that counts.
 */
function stepsOf(families: readonly Family[], sizes: readonly number[], rounds: number): Step[] {
  const alone = runsOf(families, 1);
  const batches = sizes.filter((size) => size > 1).flatMap((size) => runsOf(families, size));
  const round = [...batches, ...alone].map((run) => ({ ...run, needed: false, counted: true }));
  return [
    ...alone.map((run) => ({ ...run, needed: true, counted: true })),
    // One after the other: where time is short, some instances have been measured in batches, which says what batches save.
    ...batches.flatMap((run) => [false, true].map((counted) => ({ ...run, needed: false, counted }))),
    ...Array.from({ length: rounds }, () => round).flat(),
  ];
}

export interface MeasuredRuns {
  /** Times that other programs do not change: CPU time if all of it is known, else what passed. */
  readonly samples: RunSamples;
  readonly wall: RunSamples;
}

export async function measureRuns(
  runner: Runner,
  families: readonly Family[],
  now: () => number,
  sizes: readonly number[] = MEASURED_SIZES,
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

/** What decodes pictures. */
export interface Decoding {
  /** A generated picture. */
  sample(kind: PictureKind, width: number, height: number): Promise<Uint8Array>;
  /** ms that its decode took. */
  decode(bytes: Uint8Array, family: Family): Promise<number>;
}

/** About half a megapixel: pixels take most of the time, and it is encoded soon. */
const LARGE = { width: 800, height: 600 };

/** A small JPEG of each family, and a larger picture of each kind for the first one. A kind that cannot be had is left out. */
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
      await decode(bytes, family); // the first one of a kind loads its library
      const samples = { family: family.name, kind, megapixels: (width * height) / 1e6, ms: [] };
      pictures.push({ family, bytes, samples });
    } catch {
      // A libvips without this kind refuses it when it is served, too; and nothing that starts depends on it.
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

/** Whether each picture was decoded often enough. */
export const decodedEnough = (decodes: readonly DecodeSamples[]): boolean =>
  decodes.every(({ ms }) => ms.length >= LEAST_ROUNDS);

/** Whether there was time to run every instance at every measured size. */
export const isWhole = (samples: RunSamples): boolean =>
  Object.values(samples).every((sizes) => MEASURED_SIZES.every((size) => (sizes[size]?.length ?? 0) > 0));

/** Whether runs waited for CPUs that other programs had: the time that passed over the CPU time, of all of them. */
export function wasDelayed({ samples, wall }: MeasuredRuns): boolean {
  const total = (of: RunSamples) =>
    Object.values(of)
      .flatMap((sizes) => Object.values(sizes).flat())
      .reduce((sum, ms) => sum + ms, 0);
  return total(wall) > BUSY * total(samples);
}

/** Whether the host was so busy that the measurement is hardly to be believed: the median of runs over their low quantile. */
export function wasBusy(samples: RunSamples): boolean {
  const spreads = Object.values(samples)
    .flatMap((sizes) => Object.values(sizes))
    .filter((values) => values.length >= LEAST_ROUNDS)
    .map((values) => (quantileOf(values, 0.5) as number) / (quantileOf(values, LOW) as number));
  return (quantileOf(spreads, 0.5) ?? 1) > BUSY;
}
