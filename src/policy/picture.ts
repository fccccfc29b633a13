/** A picture that waits, and its place in the queue. */
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';

/** The batch sizes that run, smallest first: few, so that each can be warmed and measured. */
export const BATCH_SIZES = [1, 2, 4, 8] as const;
export const MAX_BATCH = 8;

export interface Waiting {
  /** Most accurate first, never empty, all of one family. */
  readonly allowed: readonly Instance[];
  /** When the logits must be there; Infinity if there is no promise. */
  readonly deadlineMs: number;
  /** A strict picture is never run late; another one runs late rather than not at all. */
  readonly strict: boolean;
  /** Not strict, and no longer able to be in time. */
  readonly late: boolean;
  readonly arrivalMs: number;
}

/** ms of a run of so many pictures. */
export type Predict = (instance: Instance, size: number) => number;

/** How long runs take. */
export interface Latency {
  /** A high quantile: a promise for one run rests on it. */
  readonly predict: Predict;
  /** The mean: what many runs add up to. */
  readonly expect: Predict;
  /** ms of CPU: what a run takes when nothing else wants the CPUs, after a run of another instance. */
  readonly cost: Predict;
}

/** Who may use the CPUs, and for what. */
export interface Cpus {
  /** Engine threads alive, at least 1. */
  readonly threads: number;
  /** How many threads' worth of CPU this service has, for networks and all else that it does. */
  readonly capacity: number;
  /** ms of a thread that a picture takes of it besides its network: read, decoded, answered. */
  readonly besidesMs: number;
}

/** A service without a CPU of its own still has some: no division by 0. */
const LEAST_CAPACITY = 0.01;

/** ms that all CPUs together take for so much work: networks have but their threads, and share the CPUs with all else. */
export const wallMs = ({ threads, capacity }: Cpus, networkMs: number, otherMs: number): number =>
  Math.max((networkMs + otherMs) / Math.max(LEAST_CAPACITY, capacity), networkMs / threads);

/** A picture without a deadline waits about this long before it goes ahead of ones that have one. */
const PATIENCE_MS = 1000;

/** Place in the queue, smallest first: by deadline; without one, as if it were PATIENCE_MS; late ones after all others. */
export function rankOf(w: Pick<Waiting, 'late' | 'deadlineMs' | 'arrivalMs'>): number {
  return w.late ? Number.POSITIVE_INFINITY : Math.min(w.deadlineMs, w.arrivalMs + PATIENCE_MS);
}

/** By rank, then by arrival. */
export function byRank(a: Waiting, b: Waiting): number {
  const [x, y] = [rankOf(a), rankOf(b)];
  return x === y ? a.arrivalMs - b.arrivalMs : x - y;
}

/** The allowed instance that runs alone the fastest on this host. */
export function fastest(allowed: readonly Instance[], predict: Predict): Instance {
  return allowed.reduce((a, b) => (predict(b, 1) < predict(a, 1) ? b : a));
}

/** ms for one picture in a full batch: the best rate that an instance reaches. */
const bestRate = (instance: Instance, ms: Predict): number => ms(instance, MAX_BATCH) / MAX_BATCH;

/** What a list of allowed instances comes to. One may be the fastest alone and another in full batches. */
export interface Limits {
  /** ms of the fastest run of one picture, a high quantile. */
  readonly aloneMs: number;
  /** ms of one thread for a picture, on average, at the best rate. */
  readonly rateMs: number;
  /**
   * The smallest batch that takes about as little CPU for a picture as a full one; ms of its run, a high quantile and
   * the mean, and of its CPU.
   */
  readonly batch: { readonly size: number; readonly highMs: number; readonly meanMs: number; readonly costMs: number };
  /** ms of CPU for a picture of each, at the best rate. */
  readonly costMs: ReadonlyMap<Instance, number>;
  /**
   * The instances worth choosing among when CPU is short, most accurate first: the upper convex hull of accuracy over
   * cost. What lies below it is beaten by taking turns between two that lie on it.
   */
  readonly hull: readonly Instance[];
}

/** A batch that is so much slower for each picture than the best is as good as the best. */
const ABOUT = 1.15;

export type LimitsOf = (allowed: readonly Instance[]) => Limits;

/**
 * Limits of a list, computed once for each: thousands may wait, with the limits of a few budgets (the scheduler gives
 * equal lists one identity).
 */
export function limitsOf({ predict, expect, cost }: Latency): LimitsOf {
  const known = new Map<readonly Instance[], Limits>();
  const facts = new Map<Instance, Facts>(); // lists overlap
  const factsOf = (i: Instance) =>
    getOrInsert(facts, i, () => ({
      aloneMs: predict(i, 1),
      rateMs: bestRate(i, expect),
      costMs: bestRate(i, cost),
    }));
  const compute = (allowed: readonly Instance[]): Limits => {
    const quickest = allowed.reduce((a, b) => (factsOf(b).rateMs < factsOf(a).rateMs ? b : a));
    const { rateMs, costMs: fullBatchMs } = factsOf(quickest);
    // By CPU: what runs of two sizes took lately differs by more than this with what else ran.
    const size = BATCH_SIZES.find((n) => cost(quickest, n) / n <= ABOUT * fullBatchMs) ?? MAX_BATCH;
    const costMs = new Map(allowed.map((i) => [i, factsOf(i).costMs]));
    return {
      aloneMs: Math.min(...allowed.map((i) => factsOf(i).aloneMs)),
      rateMs,
      batch: {
        size,
        highMs: predict(quickest, size),
        meanMs: expect(quickest, size),
        costMs: cost(quickest, size),
      },
      costMs,
      hull: upperHull([...costMs]),
    };
  };
  // Not a function for each question: that is a hundred kilobytes of garbage for a thousand pictures.
  return (allowed) => {
    const found = known.get(allowed);
    if (found) return found;
    const limits = compute(allowed);
    known.set(allowed, limits);
    return limits;
  };
}

/** Of one instance. */
type Facts = Pick<Limits, 'aloneMs' | 'rateMs'> & { readonly costMs: number };

/** Monotone chain (Andrew 1979) from the cheapest on: each next one gains less accuracy for its cost than the one before. */
function upperHull(costs: [Instance, number][]): Instance[] {
  const hull: [Instance, number][] = [];
  const slope = ([a, costA]: [Instance, number], [b, costB]: [Instance, number]) =>
    (b.accuracy - a.accuracy) / (costB - costA);
  for (const next of costs.sort(([a, costA], [b, costB]) => costA - costB || b.accuracy - a.accuracy)) {
    const last = hull.at(-1);
    if (last && next[0].accuracy <= last[0].accuracy) continue;
    while (hull.length > 1) {
      const [a, b] = hull.slice(-2) as [[Instance, number], [Instance, number]];
      if (slope(a, b) > slope(b, next)) break;
      hull.pop();
    }
    hull.push(next);
  }
  return hull.map(([instance]) => instance).reverse();
}
