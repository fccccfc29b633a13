/** What one stage, decoding or running, takes lately as a multiple of its baselines, and which baselines are wrong. */
import { ENOUGH, HIGH } from './baselines.js';
import { quantile } from './quantile.js';

/** So many of the last are looked at: enough for a high quantile to leave three out, few enough to follow a burst at once. */
const LAST = 64;
/** Older ones say nothing about now: two seconds after an overload a lone request must not be judged by it. */
const FRESH_MS = 2_000;
/**
 * What takes more times its baseline was stopped together with the whole process (a host that swaps, SIGSTOP) and says
 * nothing of the next one; a host that shares a CPU with fifteen others has larger worries.
 */
const MOST_TIMES = 16;
/**
 * A larger multiple at start was a busy host's, and every silence would bring it back: what is impossible (422) and what a
 * lone request is promised would be judged by it as long as the service runs.
 */
const MOST_AT_START = 2;
/** A start on a busy host measures up to three times what a run takes (129 ms instead of 45): no baseline is more wrong. */
const MOST_WRONG = 4;
/** Weight of the newest run in what all take now: of about eight, so that a change of load is not taken for a wrong baseline. */
const NOW_GAIN = 1 / 8;
/** Weight of the newest run in the correction: some hundred runs, as each differs by half, and to be wrong by 5 % is no harm. */
const CORRECTION_GAIN = 1 / 128;

export interface Factors {
  readonly mean: number;
  /** Hardly exceeded; at least the mean. */
  readonly high: number;
}

interface Value {
  readonly part: string;
  readonly ratio: number;
  readonly atMs: number;
}

const clamp = (value: number, most: number) => Math.min(most, Math.max(-most, value));

export class Stage {
  readonly #now: () => number;
  readonly #seed: readonly number[];
  readonly #last: Value[] = [];
  #next = 0;
  /** Logarithm of what each part of the baselines is wrong by. */
  readonly #corrections = new Map<string, number>();
  /** Logarithm of what runs take now as a multiple of the baselines as measured; undefined after a silence. */
  #nowLog: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #factors: Factors;
  /** Changes whenever a figure of this stage may have changed. */
  version = 0;
  /** #factors holds from then on, until then; empty while they have to be made anew. */
  #fromMs = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  /** seed: multiples as they were at start, smallest first. */
  constructor(seed: readonly number[], now: () => number) {
    const sensible = seed
      .filter((ratio) => ratio > 0)
      .map((ratio) => Math.min(MOST_AT_START, ratio))
      .sort((a, b) => a - b);
    this.#seed = sensible.length ? sensible : [1];
    this.#now = now;
    this.#factors = factorsOf(this.#seed);
  }

  /** As at start, on average and hardly exceeded. */
  get atStart(): Factors {
    return factorsOf(this.#seed);
  }

  /** What this part of the baselines has to be multiplied with. */
  correction(part: string): number {
    return Math.exp(this.#corrections.get(part) ?? 0);
  }

  /** part: which baseline it tells of. measuredMs: its baseline as measured; baselineMs: as corrected. All finite and above 0. */
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
   * By what a run shows relative to the others of the same moment, whose load it shared. Where all take less than their
   * baselines, those were measured on a busy host: no load makes a run faster than it is on an idle one.
   */
  #correct(part: string, log: number, atMs: number): void {
    const silent = !(atMs - this.#lastMs <= FRESH_MS && atMs >= this.#lastMs);
    this.#lastMs = atMs;
    if (silent) this.#nowLog = undefined;
    const others = this.#last.some((v) => v.part !== part && this.#fresh(v, atMs));
    // Without this run itself, which would hide some of how far it is from the others.
    const nowLog = this.#nowLog ?? log;
    this.#nowLog = nowLog + NOW_GAIN * (log - nowLog);
    // Alone it shows nothing, but for the latter.
    if (!others && nowLog >= 0) return;
    const before = this.#corrections.get(part) ?? 0;
    const wrong = log - Math.max(0, nowLog);
    this.#corrections.set(part, clamp(before + CORRECTION_GAIN * (wrong - before), Math.log(MOST_WRONG)));
  }

  #fresh({ atMs }: Value, nowMs: number): boolean {
    return nowMs - atMs <= FRESH_MS && atMs <= nowMs;
  }

  /** Of the last ones, filled up with those at start while there are too few. */
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
    // A clock that says no number at all is asked again each time.
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
