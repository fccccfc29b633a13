/**
 * The level: the smallest price of CPU, in accuracy per ms, at which everything fits. 0 means that every picture gets its
 * most accurate instance; Infinity that every picture gets its cheapest. Derived in docs/scheduling.md. Pure.
 */
import type { Instance } from '../family/instance.js';
import { choiceAt, type Offer, type Offers, type OffersOf } from './price.js';
import { drainMs, otherMs, runningMs, type Snapshot, type Waiting } from './snapshot.js';

/** Prices at which some picture's choice changes are tried from the lowest on, by bisection: work falls with the price. */
export function levelOf(snapshot: Snapshot, offersOf: OffersOf): number {
  const { waiting } = snapshot;
  const lists = new Map<readonly Instance[], Offers>();
  for (const { allowed, bestEffort } of waiting) if (!bestEffort) lists.set(allowed, offersOf(allowed));
  const prices = pricesOf(lists.values());
  let [low, high] = [0, prices.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fits(snapshot, lists, prices[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return prices[low] ?? Number.POSITIVE_INFINITY;
}

/** 0, and each price from which a cheaper instance is the better choice; Infinity is left out, as it needs no check. */
function pricesOf(lists: Iterable<Offers>): number[] {
  const prices = new Set([0]);
  for (const { upTo } of lists) for (const price of upTo) if (price !== Number.POSITIVE_INFINITY) prices.add(price);
  return [...prices].sort((a, b) => a - b);
}

/**
 * Whether, with each picture on its choice at this price, (1) every picture is done before its deadline behind those ahead
 * of it, and (2) all of them and those expected to come until the last of them is due are done by then.
 */
function fits(snapshot: Snapshot, lists: ReadonlyMap<readonly Instance[], Offers>, price: number): boolean {
  const { nowMs, waiting, cpus, arrivalsPerMs, dispersion, tuning } = snapshot;
  const choices = new Map<readonly Instance[], Offer>();
  for (const [allowed, offers] of lists) choices.set(allowed, choiceAt(offers, price));
  // Objects that are filled, not one for each picture: the slowest decisions are those in which garbage is collected.
  const ahead = { network: runningMs(snapshot), other: 0 };
  const all = { network: 0, other: 0 };
  let count = 0;
  let horizonMs = 0;
  for (const w of waiting) {
    if (w.bestEffort) break; // they are behind all others
    const choice = choices.get(w.allowed) as Offer;
    const ownMs = remainingDecodeMs(w) + choice.aloneHighMs;
    if (nowMs + drainMs(snapshot, ahead) + ownMs > w.deadlineMs) return false;
    ahead.network += choice.cpuMs;
    ahead.other += otherMs(w, cpus);
    count += 1;
    all.network += choice.cpuMs;
    all.other += cpus.answerMs + w.decode.cpuMs;
    if (w.deadlineMs !== Number.POSITIVE_INFINITY) horizonMs = Math.max(horizonMs, w.deadlineMs - nowMs);
  }
  if (count === 0 || horizonMs === 0) return true;
  const mean = arrivalsPerMs * horizonMs;
  const expected = (mean + tuning.deviations * Math.sqrt(dispersion * mean)) / count;
  const work = { network: ahead.network + expected * all.network, other: ahead.other + expected * all.other };
  return drainMs(snapshot, work) <= tuning.horizons * horizonMs;
}

/** Time that its own decoding still takes, on average. */
export const remainingDecodeMs = ({ stage, decode }: Waiting): number => (stage === 'decoded' ? 0 : decode.meanMs);
