/**
 * Baselines as plain data: the times of runs and decodes on an undisturbed host, fitted to the measurement at start,
 * and the spread of single measurements around them.
 */
import { z } from 'zod';
import type { Family } from '../family/instance.js';
import { LEAST_MS, type Line, LOW, lineOf, type SamplesOfSizes } from './line.js';
import { quantileOf } from './quantile.js';

/** The quantile of service times that promises are based on. */
export const HIGH = 0.95;
/** With fewer values the HIGH quantile is their maximum, so that one slow run would decide it. */
export const ENOUGH = Math.ceil(1 / (1 - HIGH));

export const PICTURE_KINDS = ['JPEG', 'PNG', 'WebP', 'AVIF', 'GIF', 'TIFF'] as const;
export type PictureKind = (typeof PICTURE_KINDS)[number];

const time = z.number().nonnegative();
/** Measured times as multiples of their baseline, smallest first. */
const spread = z.array(z.number().positive()).max(ENOUGH);

export const baselinesSchema = z.object({
  /** CPUs that one run uses. */
  onnxThreads: z.int().positive(),
  /** Instance key -> a run of n pictures takes aMs + bMs n. */
  runs: z.record(z.string(), z.object({ aMs: time, bMs: time })),
  runSpread: spread,
  /** Family -> ms of a decode that do not depend on the picture. */
  families: z.record(z.string(), time),
  /** File format -> ms of a decode for each megapixel. */
  kinds: z.partialRecord(z.enum(PICTURE_KINDS), time),
  decodeSpread: spread,
});
export type Baselines = z.infer<typeof baselinesSchema>;

export const NOTHING_MEASURED: Baselines = {
  onnxThreads: 1,
  runs: {},
  runSpread: [],
  families: {},
  kinds: {},
  decodeSpread: [],
};

/** Instance key -> batch size -> measured ms of each run. */
export type RunSamples = Readonly<Record<string, SamplesOfSizes>>;

/** Measured ms of decodes of one generated picture. */
export interface DecodeSamples {
  readonly family: string;
  readonly kind: PictureKind;
  readonly megapixels: number;
  readonly ms: readonly number[];
}

/**
 * Fits a line to the samples of each instance. For an instance that was measured at batch size 1 only, the fixed part
 * aMs is set to the share that it has of a run of one picture for the other instances (their LOW quantile).
 */
function linesOf(samples: RunSamples): Record<string, Line> {
  const all = Object.entries(samples).map(([key, sizes]) => ({ key, sizes, line: lineOf(sizes) }));
  const whole = all.flatMap(({ sizes, line }) => (line && knownSizes(sizes) > 1 ? [line] : []));
  const fixedShare = quantileOf(
    whole.map(({ aMs, bMs }) => aMs / (aMs + bMs)),
    LOW,
  );
  return Object.fromEntries(
    all.flatMap(({ key, sizes, line }): [string, Line][] => {
      if (!line) return [];
      if (fixedShare === undefined || knownSizes(sizes) > 1 || !sizes['1']?.length) return [[key, line]];
      const aloneMs = line.aMs + line.bMs;
      return [[key, { aMs: fixedShare * aloneMs, bMs: (1 - fixedShare) * aloneMs }]];
    }),
  );
}

/**
 * Replaces the lines of instances by lines proportional to FLOPs, for a measurement that was too disturbed to rank the
 * instances. The rate is the median of the measured ms per FLOP of a family and precision. Instances without a line are
 * left out.
 */
export function byFlops(lines: Baselines['runs'], families: readonly Family[]): Baselines['runs'] {
  const alike = (['float32', 'int8'] as const).flatMap((precision) =>
    families.map(({ instances }) => instances.filter((i) => i.precision === precision && lines[i.key])),
  );
  return Object.fromEntries(
    alike.flatMap((instances) => {
      const rates = instances.map((i) => ({ flops: i.flops, ...(lines[i.key] as Line) }));
      const a =
        quantileOf(
          rates.map((r) => r.aMs / r.flops),
          0.5,
        ) ?? 0;
      const b =
        quantileOf(
          rates.map((r) => (r.aMs + r.bMs) / r.flops),
          0.5,
        ) ?? 0;
      return instances.map((i) => [i.key, { aMs: a * i.flops, bMs: Math.max(0, b - a) * i.flops }]);
    }),
  );
}

const knownSizes = (sizes: SamplesOfSizes) => Object.values(sizes).filter((values) => values.length > 0).length;

/** ENOUGH quantiles at even distances, which stand for all values. values: in any order. */
function spreadOf(values: readonly number[]): number[] {
  if (values.length === 0) return [];
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from({ length: ENOUGH }, (_, n) => {
    const value = sorted[Math.floor(((n + 0.5) / ENOUGH) * sorted.length)] as number;
    return Number(value.toFixed(4)) || value;
  });
}

/**
 * Lower bound of the ms for a megapixel. The fastest decoder (JPEG, scaled down while it is read) takes about 3 ms. Not
 * 0, because baselines are later corrected by a factor.
 */
const LEAST_MEGAPIXEL_MS = 1;

/**
 * Fits baselines to measurements. runs: the lines are fitted to these samples (CPU time where it is known). wall: wall
 * time of the same runs; the spread, on which promises rest, comes from it.
 */
export function baselinesOf(
  runs: RunSamples,
  decodes: readonly DecodeSamples[] = [],
  onnxThreads = 1,
  wall: RunSamples = runs,
): Baselines {
  const lines = linesOf(runs);
  const runRatios = Object.entries(wall).flatMap(([key, sizes]) =>
    Object.entries(sizes).flatMap(([size, values]) => {
      const { aMs, bMs } = lines[key] ?? { aMs: 0, bMs: 0 };
      return values.map((ms) => Math.max(LEAST_MS, ms) / Math.max(LEAST_MS, aMs + bMs * Number(size)));
    }),
  );
  // The minimum: decodes are too few for a low quantile, and only a busy host makes one decode slower than another.
  const lowOf = ({ ms }: DecodeSamples) => Math.max(LEAST_MS, Math.min(...ms));
  const known = decodes.filter(({ ms, megapixels }) => ms.length > 0 && megapixels > 0);
  // The smallest picture of a family gives the fixed part of a decode, the largest picture of a format the part per
  // pixel.
  const families: Record<string, number> = {};
  for (const d of known) families[d.family] = Math.min(families[d.family] ?? Number.POSITIVE_INFINITY, lowOf(d));
  const kinds: Partial<Record<PictureKind, number>> = {};
  for (const kind of PICTURE_KINDS) {
    const largest = known
      .filter((d) => d.kind === kind)
      .reduce<DecodeSamples | undefined>((a, b) => (a && a.megapixels >= b.megapixels ? a : b), undefined);
    if (!largest) continue;
    const pixelsMs = lowOf(largest) - (families[largest.family] as number);
    kinds[kind] = Math.max(LEAST_MEGAPIXEL_MS, pixelsMs / largest.megapixels);
  }
  const decodeRatios = known.flatMap((d) => d.ms.map((ms) => Math.max(LEAST_MS, ms) / lowOf(d)));
  return {
    onnxThreads,
    runs: lines,
    runSpread: spreadOf(runRatios),
    families,
    kinds,
    decodeSpread: spreadOf(decodeRatios),
  };
}
