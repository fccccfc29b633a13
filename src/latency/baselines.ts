/** What was measured at start, as plain data: how long things take while nothing disturbs them, and how far they differ. */
import { z } from 'zod';
import type { Family } from '../family/instance.js';
import { LEAST_MS, type Line, LOW, lineOf, type SamplesOfSizes } from './line.js';
import { quantileOf } from './quantile.js';

/** A promise rests on a high quantile and not on the mean. */
export const HIGH = 0.95;
/** Of fewer values that quantile is the largest, so that one slow run would decide everything. */
export const ENOUGH = Math.ceil(1 / (1 - HIGH));

export const PICTURE_KINDS = ['JPEG', 'PNG', 'WebP', 'AVIF', 'GIF', 'TIFF'] as const;
export type PictureKind = (typeof PICTURE_KINDS)[number];

const time = z.number().nonnegative();
/** Times as multiples of the baseline, smallest first. */
const spread = z.array(z.number().positive()).max(ENOUGH);

export const baselinesSchema = z.object({
  /** CPUs that a run keeps busy. */
  onnxThreads: z.int().positive(),
  /** Instance key -> ms of a run. */
  runs: z.record(z.string(), z.object({ aMs: time, bMs: time })),
  runSpread: spread,
  /** Family -> ms of a decode whatever the picture. */
  families: z.record(z.string(), time),
  /** Kind of picture -> ms for each megapixel. */
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

/** Instance key -> batch size -> ms of runs. */
export type RunSamples = Readonly<Record<string, SamplesOfSizes>>;

/** A picture that was decoded several times. */
export interface DecodeSamples {
  readonly family: string;
  readonly kind: PictureKind;
  readonly megapixels: number;
  readonly ms: readonly number[];
}

/**
 * The line of each instance. One that was run alone only saves by batches what the others do: `batchOf` of its own time.
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
 * The same of each family and precision by FLOPs alone, at the median of what they take: for where the measurement was so
 * disturbed that instances would be in any order.
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

/** So many multiples at even distances. values: in any order. */
function spreadOf(values: readonly number[]): number[] {
  if (values.length === 0) return [];
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from({ length: ENOUGH }, (_, n) => {
    const value = sorted[Math.floor(((n + 0.5) / ENOUGH) * sorted.length)] as number;
    return Number(value.toFixed(4)) || value;
  });
}

/** ms: the fastest of decoders, of JPEG made smaller while it is read, takes about 3 for a megapixel; a correction of 0 is none. */
const LEAST_MEGAPIXEL_MS = 1;

/** runs: the lines go by these. wall: how long they took, by which promises are made. */
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
  // The quickest: of three there is no low quantile, and nothing but a busy host makes one slower than another.
  const lowOf = ({ ms }: DecodeSamples) => Math.max(LEAST_MS, Math.min(...ms));
  const known = decodes.filter(({ ms, megapixels }) => ms.length > 0 && megapixels > 0);
  // The smallest picture of a family says what a decode takes whatever the picture, the largest of a kind what its pixels take.
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
