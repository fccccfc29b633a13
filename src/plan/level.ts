/**
 * The level: the price of CPU, in accuracy per ms, that everybody pays now. At 0 every picture gets its most accurate
 * instance, at Infinity its cheapest. Derived in docs/scheduling.md. Pure.
 */
import type { Instance } from '../family/instance.js';
import { choiceAt, type Offer, type Offers, type OffersOf } from './price.js';
import { expectedShortage } from './shortage.js';
import { drainMs, otherMs, remainingDecodeMs, runningMs, type Snapshot } from './snapshot.js';

/** Pictures that allow the same. */
interface Group {
  readonly offers: Offers;
  count: number;
}

/** Of all pictures that wait and are not best effort. */
interface Demand {
  readonly groups: ReadonlyMap<readonly Instance[], Group>;
  readonly count: number;
  /** CPU time that they still take besides their networks, and that as many new ones would. */
  readonly otherMs: number;
  readonly otherOfNewMs: number;
  /** Until the last one is due; 0 if none is. */
  readonly horizonMs: number;
}

/**
 * Of the prices at which all that waits is in time, as far as it can be at any price, the one that promises the largest
 * utility. As everybody's choice changes at a dozen prices only, those are all that have to be looked at; the first at
 * which all are in time is found by bisection, since work falls with the price.
 */
export function levelOf(snapshot: Snapshot, offersOf: OffersOf): number {
  const demand = demandOf(snapshot, offersOf);
  const prices = pricesOf(demand);
  let [low, high] = [0, prices.length - 1];
  // Those that are late whatever the price must not take accuracy from the others.
  const least = lateAt(prices[high] as number, snapshot, demand);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lateAt(prices[middle] as number, snapshot, demand) <= least) high = middle;
    else low = middle + 1;
  }
  let best = prices[low] as number;
  if (demand.horizonMs === 0) return best;
  let most = Number.NEGATIVE_INFINITY;
  for (const price of prices.slice(low)) {
    const utility = utilityAt(price, snapshot, demand);
    if (utility > most) [best, most] = [price, utility];
  }
  return best;
}

function demandOf({ nowMs, waiting, cpus }: Snapshot, offersOf: OffersOf): Demand {
  const groups = new Map<readonly Instance[], Group>();
  const demand = { groups, count: 0, otherMs: 0, otherOfNewMs: 0, horizonMs: 0 };
  for (const w of waiting) {
    if (w.bestEffort) break; // they are behind all others
    const group = groups.get(w.allowed);
    if (group) group.count += 1;
    else groups.set(w.allowed, { offers: offersOf(w.allowed), count: 1 });
    demand.count += 1;
    demand.otherMs += otherMs(w, cpus);
    demand.otherOfNewMs += cpus.answerMs + w.decode.cpuMs;
    if (w.deadlineMs !== Number.POSITIVE_INFINITY) demand.horizonMs = Math.max(demand.horizonMs, w.deadlineMs - nowMs);
  }
  return demand;
}

/** 0, and each price from which a cheaper instance is the better choice, lowest first. */
function pricesOf({ groups }: Demand): number[] {
  const prices = new Set([0]);
  for (const { offers } of groups.values())
    for (const price of offers.upTo) if (price !== Number.POSITIVE_INFINITY) prices.add(price);
  return [...prices].sort((a, b) => a - b);
}

/** How many pictures would not be done before their deadline at this price, behind those ahead of them. */
function lateAt(price: number, snapshot: Snapshot, { groups }: Demand): number {
  const { nowMs, waiting, cpus } = snapshot;
  const choices = new Map<readonly Instance[], Offer>();
  for (const [allowed, { offers }] of groups) choices.set(allowed, choiceAt(offers, price));
  // An object that is filled, not one for each picture: the slowest decisions are those in which garbage is collected.
  const ahead = { network: runningMs(snapshot), other: 0 };
  let late = 0;
  for (const w of waiting) {
    if (w.bestEffort) break;
    const choice = choices.get(w.allowed) as Offer;
    const ownMs = remainingDecodeMs(w) + choice.aloneHighMs;
    if (nowMs + drainMs(snapshot, ahead) + ownMs > w.deadlineMs) late += 1;
    ahead.network += choice.cpuMs;
    ahead.other += otherMs(w, cpus);
  }
  return late;
}

/**
 * Utility, the sum of the accuracy of answers in time, for each picture that waits or is expected until the last one that
 * waits is due: mean accuracy at this price, times the share that is not lost because more come than there is time for.
 */
function utilityAt(price: number, snapshot: Snapshot, { groups, count, ...demand }: Demand): number {
  const { arrivalsPerMs, dispersion, tuning } = snapshot;
  let [network, accuracy] = [0, 0];
  for (const { offers, count: its } of groups.values()) {
    const { instance, cpuMs } = choiceAt(offers, price);
    network += its * cpuMs;
    accuracy += (its / count) * instance.accuracy;
  }
  const waitMs = drainMs(snapshot, { network: runningMs(snapshot) + network, other: demand.otherMs });
  const eachMs = drainMs(snapshot, { network, other: demand.otherOfNewMs }) / count;
  const room = (tuning.horizons * demand.horizonMs - waitMs) / eachMs;
  const mean = arrivalsPerMs * demand.horizonMs;
  const lost = expectedShortage(mean, Math.sqrt(dispersion * mean), room);
  return accuracy * (1 - Math.min(1, lost / (count + mean)));
}
