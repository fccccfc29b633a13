/**
 * The level: the one price of CPU, in accuracy per CPU-ms, at which instances are chosen for all waiting pictures. It
 * is the Lagrange multiplier of the CPU limit: at price 0 every picture gets its most accurate instance, at Infinity
 * its cheapest. Derived in docs/scheduling.md, "The level". Pure.
 */
import type { Instance } from '../family/instance.js';
import { choiceAt, type Offer, type Offers, type OffersOf } from './price.js';
import { expectedShortage } from './shortage.js';
import { drainMs, otherMs, remainingDecodeMs, runningMs, type Snapshot } from './snapshot.js';

/** Pictures with the same list of allowed instances. */
interface Group {
  readonly offers: Offers;
  count: number;
}

/** Totals over all waiting pictures that are not best effort. */
interface Demand {
  readonly groups: ReadonlyMap<readonly Instance[], Group>;
  readonly count: number;
  /** CPU time that they still take outside their networks: decoding, unless done, and answering. */
  readonly otherMs: number;
  /** CPU time outside the network that as many new pictures of the same kinds would take. */
  readonly otherOfNewMs: number;
  /** Time until the last deadline among them; 0 if none has a deadline. */
  readonly horizonMs: number;
}

/**
 * The level for this snapshot, in accuracy per CPU-ms. Candidates are the prices at which no waiting picture is late
 * that would be in time at the highest price; of these the one with the largest expected utility is returned. Choices
 * change at about a dozen prices only, so only those are tried. Work falls as the price rises, so the lowest candidate
 * is found by bisection.
 */
export function levelOf(snapshot: Snapshot, offersOf: OffersOf): number {
  const demand = demandOf(snapshot, offersOf);
  const prices = pricesOf(demand);
  let [low, high] = [0, prices.length - 1];
  // Pictures that are late at any price must not cost the others accuracy.
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

/** 0 and every price at which some picture's choice changes to a cheaper instance, lowest first. */
function pricesOf({ groups }: Demand): number[] {
  const prices = new Set([0]);
  for (const { offers } of groups.values())
    for (const price of offers.upTo) if (price !== Number.POSITIVE_INFINITY) prices.add(price);
  return [...prices].sort((a, b) => a - b);
}

/**
 * How many waiting pictures would miss their deadline if all were served in EDF order, on their instances at this
 * price.
 */
function lateAt(price: number, snapshot: Snapshot, { groups }: Demand): number {
  const { nowMs, waiting, cpus } = snapshot;
  const choices = new Map<readonly Instance[], Offer>();
  for (const [allowed, { offers }] of groups) choices.set(allowed, choiceAt(offers, price));
  // One object is updated, instead of a new one for each picture: garbage collection makes the slowest decisions.
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
 * Expected utility per picture at this price: mean accuracy times the share of pictures that are answered in time.
 * Counted are the waiting pictures and those expected within the horizon; some of the latter are lost where the CPUs
 * lack time.
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
