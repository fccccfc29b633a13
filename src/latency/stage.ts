/**
 * The live factor of one stage (decoding or running): recent times as multiples of their baselines. It also corrects
 * baselines that were measured wrong.
 */
import { ENOUGH, HIGH } from './baselines.js';
import { quantile } from './quantile.js';

/**
 * Window in observations: the 95th percentile ignores the three largest of them, and a burst changes the mean at once.
 */
const LAST = 64;
/** Age limit of observations: two seconds after an overload a lone request must not be judged by it. */
const FRESH_MS = 2_000;
/**
 * Upper bound of an observed multiple. A run that took longer was stopped with the whole process (SIGSTOP, a host that
 * swaps), which says nothing about the next run. The bound is reached otherwise only where 16 processes share a CPU.
 */
const MOST_TIMES = 16;
/**
 * Upper bound of a multiple measured at start. A larger one comes from a busy host. The multiples of the start count
 * again after every silence, so it would make lone requests impossible (422) as long as the service runs.
 */
const MOST_AT_START = 2;
/**
 * Upper bound of a correction: a start on a busy host measured up to three times the true time (129 ms instead of 45).
 */
const MOST_WRONG = 4;
/**
 * Smoothing factor of the present load, about eight runs: slower, a change of load would look like a wrong baseline.
 */
const NOW_GAIN = 1 / 8;
/**
 * Smoothing factor of a correction: single runs differ by half, so about a hundred are needed for an error below 5 %.
 */
const CORRECTION_GAIN = 1 / 128;

/** Multiples of the baseline. */
export interface Factors {
  readonly mean: number;
  /** 95th percentile; at least the mean. */
  readonly high: number;
}

/** One observed run or decode. */
interface Value {
  /** Name of the baseline that this observation tells about. */
  readonly part: string;
  /** Wall time over the corrected baseline. */
  readonly ratio: number;
  readonly atMs: number;
}

const clamp = (value: number, most: number) => Math.min(most, Math.max(-most, value));

export class Stage {
  readonly #now: () => number;
  /** Multiples as measured at start, smallest first. */
  readonly #seed: readonly number[];
  /** Ring buffer of the last LAST observations. */
  readonly #last: Value[] = [];
  /** Where the next observation goes in #last. */
  #next = 0;
  /** Name of a baseline -> logarithm of the factor that corrects it. */
  readonly #corrections = new Map<string, number>();
  /** Logarithm of the smoothed wall time over the uncorrected baseline, for all parts; undefined after a silence. */
  #nowLog: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #factors: Factors;
  /** Changes whenever a factor or a correction of this stage may have changed. */
  version = 0;
  /** The interval of the clock in which #factors is valid; empty when it has to be computed again. */
  #fromMs = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  /** seed: multiples of the baselines as measured at start. now: ms of a monotonic clock. */
  constructor(seed: readonly number[], now: () => number) {
    const sensible = seed
      .filter((ratio) => ratio > 0)
      .map((ratio) => Math.min(MOST_AT_START, ratio))
      .sort((a, b) => a - b);
    this.#seed = sensible.length ? sensible : [1];
    this.#now = now;
    this.#factors = factorsOf(this.#seed);
  }

  /** Mean and 95th percentile of the multiples at start. */
  get atStart(): Factors {
    return factorsOf(this.#seed);
  }

  /** The factor by which this baseline has to be multiplied because it was measured wrong; 1 if nothing is known. */
  correction(part: string): number {
    return Math.exp(this.#corrections.get(part) ?? 0);
  }

  /** Forgets the correction of a baseline that is gone or was measured anew. */
  forget(part: string): void {
    this.#corrections.delete(part);
    this.version += 1;
  }

  /**
   * Adds an observation. part: name of the baseline that it tells about. measuredMs: that baseline as measured at
   * start; baselineMs: the same with its correction. All times are finite and above 0.
   */
  learn(part: string, measuredMs: number, baselineMs: number, wallMs: number): void {
    const atMs = this.#now();
    const ratio = Math.exp(clamp(Math.log(wallMs / baselineMs), Math.log(MOST_TIMES)));
    this.#last[this.#next] = { part, ratio, atMs };
    this.#next = (this.#next + 1) % LAST;
    this.#correct(part, clamp(Math.log(wallMs / measuredMs), Math.log(MOST_TIMES * MOST_WRONG)), atMs);
    this.#untilMs = Number.NEGATIVE_INFINITY;
    this.version += 1;
  }

  /**
   * Moves the correction of a baseline by comparing one observation with others of the same moment, which had the same
   * load. Where all observations are below their baselines, the baselines were measured on a busy host: no load makes a
   * run faster than on an idle host. log: logarithm of wall time over the uncorrected baseline.
   */
  #correct(part: string, log: number, atMs: number): void {
    const silent = !(atMs - this.#lastMs <= FRESH_MS && atMs >= this.#lastMs);
    this.#lastMs = atMs;
    if (silent) this.#nowLog = undefined;
    const others = this.#last.some((v) => v.part !== part && this.#fresh(v, atMs));
    // The mean before this observation, which would otherwise hide some of its own distance from the others.
    const nowLog = this.#nowLog ?? log;
    this.#nowLog = nowLog + NOW_GAIN * (log - nowLog);
    // Without others to compare with, a slow run may be load; only a run below its baseline shows that this is wrong.
    if (!others && nowLog >= 0) return;
    const before = this.#corrections.get(part) ?? 0;
    const wrong = log - Math.max(0, nowLog);
    this.#corrections.set(part, clamp(before + CORRECTION_GAIN * (wrong - before), Math.log(MOST_WRONG)));
  }

  #fresh({ atMs }: Value, nowMs: number): boolean {
    return nowMs - atMs <= FRESH_MS && atMs <= nowMs;
  }

  /**
   * The live factor: of the last observations, filled up with multiples of the start while there are fewer than ENOUGH.
   */
  get factors(): Factors {
    const nowMs = this.#now();
    if (nowMs >= this.#fromMs && nowMs <= this.#untilMs) return this.#factors;
    const fresh = this.#last.filter((v) => this.#fresh(v, nowMs));
    const filling = Math.max(0, ENOUGH - fresh.length);
    const ratios = fresh.map((v) => v.ratio);
    for (let n = 0; n < filling; n++) {
      ratios.push(this.#seed[Math.floor(((n + 0.5) / filling) * this.#seed.length)] as number);
    }
    this.#factors = factorsOf(ratios.sort((a, b) => a - b));
    this.#fromMs = nowMs;
    // If the clock returns NaN, no interval is valid and the factors are computed each time.
    this.#untilMs = fresh.reduce((until, v) => Math.min(until, v.atMs + FRESH_MS), Number.POSITIVE_INFINITY);
    this.version += 1;
    return this.#factors;
  }
}

/** sorted: smallest first, at least one. */
function factorsOf(sorted: readonly number[]): Factors {
  const mean = sorted.reduce((a, b) => a + b, 0) / sorted.length;
  return { mean, high: Math.max(mean, quantile(sorted, HIGH) as number) };
}
