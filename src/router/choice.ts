/** From a budget to the instances a request may use, or why there is none. Pure. */
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import type { Budget } from './budget.js';

/** What the scheduler may do with the pictures of a request. */
export interface Choice {
  /** Most accurate first, never empty; one alone if there is nothing left to decide. */
  readonly allowed: readonly Instance[];
  /** The whole answer within so many ms; undefined for a request that waits rather than get less. */
  readonly latencyMs: number | undefined;
  /** Cannot be in time whatever happens (not strict): runs after all that can. */
  readonly bestEffort: boolean;
  /** What decided, for people. */
  readonly reason: string;
}

export interface Offer {
  /** The served instances of the family. */
  readonly instances: readonly Instance[];
  /** FLOPs of `full`. */
  readonly fullFlops: number;
  /** ms from the last body byte to the answer on an idle host: decoding and one run of that instance alone. */
  readonly idleMs: (i: Instance) => number;
}

const byAccuracy = (a: Instance, b: Instance) => b.accuracy - a.accuracy || a.flops - b.flops;
/** Twins have the same FLOPs; the faster one is the cheaper. */
const byCost = (offer: Offer) => (a: Instance, b: Instance) =>
  a.flops - b.flops || offer.idleMs(a) - offer.idleMs(b) || b.accuracy - a.accuracy;

/** The members that bound instances, each a test. */
const BOUNDS = {
  flops: (limit: number) => (i: Instance) => i.flops <= limit,
  cost: (limit: number) => (i: Instance) => i.share <= limit,
  accuracy: (limit: number) => (i: Instance) => i.accuracy >= limit,
};
type Bound = keyof typeof BOUNDS;

/** Order in which a budget that is not strict gives way (latency, between the two, is handled by `choose`). */
const GIVES_WAY: Bound[][] = [['accuracy'], ['cost', 'flops']];

function within(instances: readonly Instance[], budget: Partial<Budget>): Instance[] {
  return instances
    .filter((i) => (Object.keys(BOUNDS) as Bound[]).every((b) => budget[b] === undefined || BOUNDS[b](budget[b])(i)))
    .sort(byAccuracy);
}

/**
 * Raises DimmerError `infeasible-budget` (strict only), with the nearest values that can be had.
 * A budget that is not strict drops members until something is allowed: accuracy, latency, cost and flops.
 */
export function choose(budget: Budget, offer: Offer): Choice {
  if (budget.strict) {
    const choice = attempt(budget, budget, offer);
    if (!choice) throw infeasible(budget, offer);
    return choice;
  }
  const [first, last] = GIVES_WAY as [Bound[], Bound[]];
  const easier = without(budget, first);
  return (
    attempt(budget, budget, offer) ??
    attempt(easier, budget, offer) ??
    cheapest(within(offer.instances, easier), budget, offer, 'latency cannot be met') ??
    cheapest(within(offer.instances, without(easier, last)), budget, offer, 'no instance is within the budget') ??
    unreachable()
  );
}

/** budget: what is left of `asked`, which is what the reason speaks of. */
function attempt(budget: Budget, asked: Budget, offer: Offer): Choice | undefined {
  const bounded = within(offer.instances, budget);
  const { latency, accuracy } = budget;
  const limits = [
    limitText(budget),
    asked.accuracy !== undefined && accuracy === undefined ? '(accuracy given up)' : '',
  ]
    .filter(Boolean)
    .join(' ');
  if (latency !== undefined) {
    const allowed = bounded.filter((i) => offer.idleMs(i) <= latency);
    return allowed.length
      ? { allowed, latencyMs: latency, bestEffort: false, reason: `most accurate in time ${limits}` }
      : undefined;
  }
  const onlyAccuracy = accuracy !== undefined && budget.flops === undefined && budget.cost === undefined;
  const one = onlyAccuracy ? [...bounded].sort(byCost(offer))[0] : bounded[0];
  if (!one) return undefined;
  const reason = onlyAccuracy ? `cheapest ${limits}` : limits ? `most accurate ${limits}` : 'most accurate';
  return { allowed: [one], latencyMs: undefined, bestEffort: false, reason };
}

function cheapest(bounded: Instance[], { latency }: Budget, offer: Offer, why: string): Choice | undefined {
  const one = [...bounded].sort(byCost(offer))[0];
  // A latency that this instance can meet is kept, whatever else had to go.
  const inTime = one !== undefined && latency !== undefined && offer.idleMs(one) <= latency;
  return (
    one && {
      allowed: [one],
      latencyMs: inTime ? latency : undefined,
      bestEffort: latency !== undefined && !inTime,
      reason: `cheapest: ${why}`,
    }
  );
}

function limitText({ flops, cost, latency, accuracy }: Partial<Budget>): string {
  const parts = [
    latency !== undefined && `within ${latency} ms`,
    cost !== undefined && `within cost ${cost}`,
    flops !== undefined && `within ${flops} FLOPs`,
    accuracy !== undefined && `with accuracy at least ${accuracy}`,
  ];
  return parts.filter(Boolean).join(', ');
}

function without(budget: Budget, members: Bound[]): Budget {
  return Object.fromEntries(
    Object.entries(budget).filter(([name]) => !members.includes(name as Bound)),
  ) as unknown as Budget;
}

/** For each member given: the nearest value that can be had while the others stay as they are, on the feasible side. */
export function nearest(budget: Budget, offer: Offer): Partial<Record<keyof Budget, number>> {
  const others = (member: keyof Budget) => {
    const rest = without(budget, [member as Bound]);
    const { latency } = rest;
    return within(offer.instances, rest).filter((i) => latency === undefined || offer.idleMs(i) <= latency);
  };
  const result: Partial<Record<keyof Budget, number>> = {};
  const put = (member: 'flops' | 'cost' | 'accuracy' | 'latency', value: (fits: Instance[]) => number) => {
    const fits = budget[member] === undefined ? [] : others(member);
    if (fits.length) result[member] = value(fits);
  };
  put('flops', (fits) => Math.min(...fits.map((i) => i.flops)));
  put('cost', (fits) => Math.ceil(Math.min(...fits.map((i) => i.share)) * 1000) / 1000);
  put('accuracy', (fits) => Math.floor(Math.max(...fits.map((i) => i.accuracy)) * 1000) / 1000);
  put('latency', (fits) => Math.ceil(Math.min(...fits.map(offer.idleMs))));
  return result;
}

function infeasible(budget: Budget, offer: Offer): DimmerError {
  const values = nearest(budget, offer);
  const texts = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return new DimmerError('infeasible-budget', {
    detail: `no instance is ${limitText(budget)}, even when this host is idle`,
    expected: texts.length
      ? `changing one member: ${texts.join(' or ')}`
      : 'a budget that some instance meets; see GET /models',
    action: 'take one of these values, or add strict=?0 to get the nearest answer',
    members: { nearest: values },
  });
}

function unreachable(): never {
  throw new Error('a family serves at least `full`');
}
