/**
 * Turns a budget into the instances that may answer the request, or into a refusal with the nearest feasible values.
 * Pure.
 */
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import type { Budget } from './budget.js';

/** What the budget leaves to the scheduler. */
export interface Choice {
  /** Instances that may answer: most accurate first, never empty. Without a latency it is a single instance. */
  readonly allowed: readonly Instance[];
  /** ms for the whole answer, at most; undefined for no deadline: the request waits as long as necessary. */
  readonly latencyMs: number | undefined;
  /** Not strict, and no instance can meet the latency even on an idle host: it runs after all that can be in time. */
  readonly bestEffort: boolean;
  /** Why these instances, as text of the answer. */
  readonly reason: string;
}

/** The served instances of a family, with their idle times on this host. */
export interface Offer {
  /** The served instances of the family. */
  readonly instances: readonly Instance[];
  /** FLOPs of `full`. */
  readonly fullFlops: number;
  /** ms from the last body byte to the answer on an idle host: decoding and a run of one picture. */
  readonly idleMs: (i: Instance) => number;
}

const byAccuracy = (a: Instance, b: Instance) => b.accuracy - a.accuracy || a.flops - b.flops;
/** By FLOPs; an instance and its int8 twin have the same FLOPs, of which the faster comes first. */
const byCost = (offer: Offer) => (a: Instance, b: Instance) =>
  a.flops - b.flops || offer.idleMs(a) - offer.idleMs(b) || b.accuracy - a.accuracy;

/** Members of the budget that limit the allowed instances: limit -> test of an instance. */
const BOUNDS = {
  flops: (limit: number) => (i: Instance) => i.flops <= limit,
  cost: (limit: number) => (i: Instance) => i.share <= limit,
  accuracy: (limit: number) => (i: Instance) => i.accuracy >= limit,
};
type Bound = keyof typeof BOUNDS;

/** Members that a budget that is not strict drops, in order. `choose` drops latency between the two groups. */
const DROPPED: Bound[][] = [['accuracy'], ['cost', 'flops']];

/** The instances that keep all limits but latency, most accurate first. */
function within(instances: readonly Instance[], budget: Partial<Budget>): Instance[] {
  return instances
    .filter((i) => (Object.keys(BOUNDS) as Bound[]).every((b) => budget[b] === undefined || BOUNDS[b](budget[b])(i)))
    .sort(byAccuracy);
}

/**
 * The choice for a budget. A budget that is not strict drops members until an instance is allowed: first accuracy, then
 * latency, then cost and flops. For a strict one that no instance keeps, raises DimmerError `infeasible-budget` with
 * the nearest feasible values.
 */
export function choose(budget: Budget, offer: Offer): Choice {
  if (budget.strict) {
    const choice = attempt(budget, budget, offer);
    if (!choice) throw infeasible(budget, offer);
    return choice;
  }
  const [first, last] = DROPPED as [Bound[], Bound[]];
  const easier = without(budget, first);
  return (
    attempt(budget, budget, offer) ??
    attempt(easier, budget, offer) ??
    cheapest(within(offer.instances, easier), budget, offer, 'latency cannot be met') ??
    cheapest(within(offer.instances, without(easier, last)), budget, offer, 'no instance is within the budget') ??
    unreachable()
  );
}

/** The choice without dropping anything more; undefined if no instance is allowed. budget: what is left of `asked`. */
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

/** The cheapest of these instances, when a budget was given up; undefined if there are none. why: for the reason. */
function cheapest(bounded: Instance[], { latency }: Budget, offer: Offer, why: string): Choice | undefined {
  const one = [...bounded].sort(byCost(offer))[0];
  // The latency stays if this instance can meet it, whatever other members were dropped.
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

/** For each member of the budget, the nearest value that would be feasible while the other members stay as they are. */
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
