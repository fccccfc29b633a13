/** When pictures arrive. The same traces are played in virtual time and against the real service. */
import { poisson, renewal } from '../../src/load/arrivals.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import { gamma } from './random.js';

export interface Trace {
  readonly name: string;
  /** From the start of the trace, in order. */
  readonly arrivalsMs: readonly number[];
  /** When one engine thread dies, if one does. */
  readonly killThreadAtMs?: number;
  /** Whether arrivals come in bursts, more than by chance. */
  readonly bursty: boolean;
}

export interface TraceOptions {
  /** Pictures per ms that are load 1. */
  readonly capacityPerMs: number;
  readonly durationMs: number;
  readonly seed: number;
}

/** Independent gamma gaps. cv2: their squared coefficient of variation, 1 for Poisson; above, gaps cluster. */
export const gammaGaps = (cv2: number, perMs: number, durationMs: number, random: Random): number[] =>
  renewal(perMs, durationMs, () => gamma(1 / cv2, random));

/**
 * Poisson whose rate changes. rate: of the part of the duration that has passed (0..1), in 1/ms, at most `highest`.
 * Thinning: Lewis and Shedler, Simulation of nonhomogeneous Poisson processes by thinning (1979).
 */
export const varying = (rate: (x: number) => number, highest: number, durationMs: number, random: Random): number[] =>
  poisson(highest, durationMs, random).filter((at) => random() * highest < rate(at / durationMs));

/** Peaks of the day: when (part of the day), how high (of the mean rate), how long the tail (part of the day). */
const PEAKS = [
  { at: 0.3, height: 2.5, tail: 0.012 },
  { at: 0.42, height: 1.5, tail: 0.06 },
  { at: 0.66, height: 3, tail: 0.02 },
  { at: 0.8, height: 2, tail: 0.08 },
];

/**
 * One day in small: night and noon as a sine, and on it four peaks that begin at once and fade exponentially, the sharp
 * ones within a hundredth of the day, the long-tailed ones over a tenth. Mean 1 to within 0.1 %.
 */
export function dayRate(x: number): number {
  return rawDayRate(x) / DAY_MEAN;
}

function rawDayRate(x: number): number {
  const base = 0.2 + 0.8 * Math.sin(Math.PI * x) ** 2;
  return PEAKS.reduce((sum, p) => sum + (x < p.at ? 0 : p.height * Math.exp((p.at - x) / p.tail)), base);
}

const GRID = Array.from({ length: 10_000 }, (_, n) => rawDayRate((n + 0.5) / 10_000));
const DAY_MEAN = GRID.reduce((a, b) => a + b, 0) / GRID.length;
const DAY_HIGHEST = (1.001 * Math.max(...GRID)) / DAY_MEAN;

/** Poisson at so many times load 1: more than can be served. */
export const overload = (load: number, { capacityPerMs, durationMs, seed }: TraceOptions): Trace => {
  const name = `overload ${load}`;
  const arrivalsMs = poisson(load * capacityPerMs, durationMs, seeded(seedFor(seed, name)));
  return { name, bursty: false, arrivalsMs };
};

/** Those of the comparison: names say the load, as a part of what the cheapest instance can do. */
export function makeTraces({ capacityPerMs, durationMs, seed }: TraceOptions): Trace[] {
  const make = (name: string, bursty: boolean, arrivals: (random: Random) => number[]): Trace => ({
    name,
    bursty,
    arrivalsMs: arrivals(seeded(seedFor(seed, name))),
  });
  const steady = (load: number, name = `poisson ${load}`) =>
    make(name, false, (random) => poisson(load * capacityPerMs, durationMs, random));
  return [
    ...[0.2, 0.5, 0.8].map((load) => steady(load)),
    ...[2, 4, 8].map((cv2) =>
      make(`gamma cv2=${cv2} 0.7`, true, (random) => gammaGaps(cv2, 0.7 * capacityPerMs, durationMs, random)),
    ),
    make('ramp 0.2-1.2', false, (random) =>
      varying((x) => (0.2 + x) * capacityPerMs, 1.2 * capacityPerMs, durationMs, random),
    ),
    make('day 0.5', true, (random) =>
      varying((x) => 0.5 * capacityPerMs * dayRate(x), 0.5 * capacityPerMs * DAY_HIGHEST, durationMs, random),
    ),
    { ...steady(0.7, 'killed 0.7'), killThreadAtMs: durationMs / 2 },
  ];
}
