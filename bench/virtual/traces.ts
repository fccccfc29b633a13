/** Traces of arrivals, which are played in virtual time and against the real service. */
import { poisson, renewal } from '../../src/load/arrivals.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import { gamma } from './random.js';

export interface Trace {
  readonly name: string;
  /** Times of the arrivals from the start of the trace, ascending. */
  readonly arrivalsMs: readonly number[];
  /** Time at which one engine thread is killed, if any. */
  readonly killThreadAtMs?: number;
  /** Whether arrivals are more bursty than a Poisson process. */
  readonly bursty: boolean;
}

export interface TraceOptions {
  /** Load 1, in pictures per ms. */
  readonly capacityPerMs: number;
  readonly durationMs: number;
  readonly seed: number;
}

/**
 * A renewal process with gamma-distributed gaps. cv2: their squared coefficient of variation; 1 is Poisson, more is
 * bursty.
 */
export const gammaGaps = (cv2: number, perMs: number, durationMs: number, random: Random): number[] =>
  renewal(perMs, durationMs, () => gamma(1 / cv2, random));

/**
 * A Poisson process with a variable rate. rate: in arrivals per ms, at most `highest`, as a function of the part of the
 * duration that has passed (0 to 1). Method, thinning: Lewis and Shedler, Simulation of nonhomogeneous Poisson
 * processes by thinning (1979).
 */
export const varying = (rate: (x: number) => number, highest: number, durationMs: number, random: Random): number[] =>
  poisson(highest, durationMs, random).filter((at) => random() * highest < rate(at / durationMs));

/**
 * Peaks of the day. at: time of the peak, as a part of the day; height: in units of the base rate; tail: decay time, as
 * a part of the day.
 */
const PEAKS = [
  { at: 0.3, height: 2.5, tail: 0.012 },
  { at: 0.42, height: 1.5, tail: 0.06 },
  { at: 0.66, height: 3, tail: 0.02 },
  { at: 0.8, height: 2, tail: 0.08 },
];

/**
 * Relative rate of arrivals over a day. The base rate is a squared sine, lowest at night and highest at noon. Four
 * peaks begin abruptly and decay exponentially, two of them in about a hundredth of the day, two in about a tenth. The
 * mean is 1 to within 0.1 %. x: time as a part of the day, 0 to 1.
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

/** Poisson arrivals at `load` times load 1; meant for loads above 1. */
export const overload = (load: number, { capacityPerMs, durationMs, seed }: TraceOptions): Trace => {
  const name = `overload ${load}`;
  const arrivalsMs = poisson(load * capacityPerMs, durationMs, seeded(seedFor(seed, name)));
  return { name, bursty: false, arrivalsMs };
};

/** All traces of the comparisons. Their names contain the load, as a multiple of load 1. */
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
