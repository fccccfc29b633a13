/**
 * What CPU is worth: how much accuracy a run may buy with it before answers are lost for it. Pure.
 *
 * All work that is admitted and not done is a reservoir: pictures fill it, the CPUs drain it, and what comes when it is
 * full is lost. Its level is taken for a Brownian motion reflected at empty and at full (heavy traffic; Harrison,
 * Brownian Motion and Stochastic Flow Systems, 1985): drift by load, variance by how unevenly pictures come. If they all
 * ran on one instance, the base, it follows in closed form what share overflows, and what work more or less is worth at
 * any level: the chance that the reservoir runs over before it is next empty. The base is the instance that pays best in
 * the long run. What each run takes beyond it is paid for by what the level then is, which is one step of policy
 * improvement (Howard, Dynamic Programming and Markov Processes, 1960): dearer than the base while it is nearly empty,
 * cheaper before it runs over.
 */
import type { Instance } from '../family/instance.js';

export interface Reservoir {
  /** Level at which what comes is lost: ms that the work of a picture that is still in time may take. Above 0. */
  readonly fullMs: number;
  /** Pictures that come, in 1/ms. */
  readonly arrivalsPerMs: number;
  /** The same and those that have come and may still be lost: while it is full, so many are, or one for each picture's work. */
  readonly exposedPerMs: number;
  /** Variance over mean of how many come in a while. */
  readonly dispersion: number;
}

/** An instance at its best rate: ms that a picture keeps the CPUs busy, all of them together. */
export interface Rated {
  readonly instance: Instance;
  readonly ms: number;
}

/**
 * Counts of arrivals tell but a part of how the level varies: their rate is itself a guess, and runs are not all equally
 * long. Chosen by `bench/host`.
 */
const VARIANCE = 3;

/** Nothing ever comes exactly never. */
const LEAST_LOAD = 1e-6;

/** Below this an exponential is taken for its first terms. */
const SMALL = 1e-4;

const loadOf = ({ ms }: Rated, { arrivalsPerMs }: Reservoir) => Math.max(LEAST_LOAD, arrivalsPerMs * ms);

const varianceOf = ({ dispersion }: Reservoir) => VARIANCE * Math.max(1, dispersion);

/** The decay of the level's distribution, 2 |drift| / variance, in 1/ms; negative under overload. */
function decay(base: Rated, reservoir: Reservoir): number {
  const load = loadOf(base, reservoir);
  return (2 * (1 - load)) / (load * base.ms * varianceOf(reservoir));
}

/** Share of all pictures that are lost in the long run if all run on this instance, 0 to 1. */
export function lostShare(base: Rated, reservoir: Reservoir): number {
  const load = loadOf(base, reservoir);
  const x = decay(base, reservoir) * reservoir.fullMs;
  // The limit of the other where load is 1: half the variance over the level that is full.
  if (Math.abs(x) < SMALL) return Math.min(1, (varianceOf(reservoir) * base.ms) / (2 * reservoir.fullMs));
  return Math.min(1, (1 - load) / Math.expm1(x) / load);
}

/** The instance of most accuracy over all arrivals, those lost included, if all run on it; of equal ones the last. bases: at least one. */
export function bestBase(bases: readonly Rated[], reservoir: Reservoir): Rated {
  const delivered = (b: Rated) => b.instance.accuracy * (1 - lostShare(b, reservoir));
  return bases.reduce((a, b) => (delivered(b) >= delivered(a) ? b : a));
}

/**
 * Accuracy, summed over pictures, that work up to a level will cost in answers lost: 0 at 0, convex, and linear beyond
 * full. The integral of the chance to run over before it is empty, times what is lost while it does.
 */
export function costOfLevel(base: Rated, reservoir: Reservoir): (levelMs: number) => number {
  const { fullMs } = reservoir;
  const rate = decay(base, reservoir);
  const x = rate * fullMs;
  const each = base.instance.accuracy * Math.min(1 / base.ms, reservoir.exposedPerMs);
  const integral = (w: number): number => {
    if (Math.abs(x) < SMALL) return (w * w) / (2 * fullMs);
    // Twice the same; this one does not overflow.
    if (x > 0) return ((Math.exp(rate * w - x) - Math.exp(-x)) / rate - w * Math.exp(-x)) / -Math.expm1(-x);
    return (Math.expm1(rate * w) / rate - w) / Math.expm1(x);
  };
  return (levelMs) => each * (integral(Math.min(Math.max(0, levelMs), fullMs)) + Math.max(0, levelMs - fullMs));
}
