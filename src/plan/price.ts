/**
 * Which instance a picture gets at a price of CPU: the allowed one of most accuracy less price x CPU. The price is the
 * Lagrange multiplier of "all pictures share the CPUs". Pure.
 */
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import type { CpuMs, WallMs } from '../latency/units.js';
import { MAX_BATCH, type Snapshot } from './snapshot.js';

/** An instance, and what a picture costs on it. */
export interface Offer {
  readonly instance: Instance;
  /** For one picture of a full batch. */
  readonly cpuMs: CpuMs;
  /** Of a run of one picture: hardly exceeded, and the mean. */
  readonly aloneHighMs: WallMs;
  readonly aloneMeanMs: WallMs;
}

/** What a list of allowed instances has to offer. */
export interface Offers {
  /**
   * Those worth choosing at some price, most accurate first: the upper convex hull of accuracy over CPU. What lies below
   * it is beaten by taking turns between two that lie on it.
   */
  readonly hull: readonly Offer[];
  /** By place in the hull: the price, in accuracy per ms, from which the next one is the better choice; Infinity at last. */
  readonly upTo: readonly number[];
  /** The fastest alone. */
  readonly fastestHighMs: WallMs;
  readonly fastestMeanMs: WallMs;
}

export type OffersOf = (allowed: readonly Instance[]) => Offers;

/** Computed once for each list: thousands may wait with the lists of a few budgets. */
export function offersOf(latency: Snapshot['latency']): OffersOf {
  const offers = new Map<Instance, Offer>();
  const lists = new Map<readonly Instance[], Offers>();
  const offerOf = (instance: Instance): Offer =>
    getOrInsert(offers, instance, () => {
      const alone = latency.run(instance.key, 1);
      return {
        instance,
        cpuMs: latency.run(instance.key, MAX_BATCH).cpuMs / MAX_BATCH,
        aloneHighMs: alone.highMs,
        aloneMeanMs: alone.meanMs,
      };
    });
  const offersFor = (allowed: readonly Instance[]) => compute(allowed.map(offerOf));
  return (allowed) => getOrInsert(lists, allowed, offersFor);
}

function compute(all: readonly Offer[]): Offers {
  const hull = upperHull(all);
  return {
    hull,
    upTo: hull.map((offer, n) => priceBetween(offer, hull[n + 1])),
    fastestHighMs: Math.min(...all.map((o) => o.aloneHighMs)),
    fastestMeanMs: Math.min(...all.map((o) => o.aloneMeanMs)),
  };
}

/** Accuracy for each ms that the dearer one takes more. */
const priceBetween = (dear: Offer, cheap: Offer | undefined): number =>
  cheap ? (dear.instance.accuracy - cheap.instance.accuracy) / (dear.cpuMs - cheap.cpuMs) : Number.POSITIVE_INFINITY;

/** The best choice at this price; of equal ones the cheaper. */
export function choiceAt({ hull, upTo }: Offers, price: number): Offer {
  let n = 0;
  while (price >= (upTo[n] as number) && n < hull.length - 1) n++;
  return hull[n] as Offer;
}

/** Monotone chain (Andrew 1979) from the cheapest on: each next one gains less accuracy for its CPU than the one before. */
function upperHull(offers: readonly Offer[]): Offer[] {
  const hull: Offer[] = [];
  for (const next of offers.toSorted((a, b) => a.cpuMs - b.cpuMs || b.instance.accuracy - a.instance.accuracy)) {
    const last = hull.at(-1);
    if (last && next.instance.accuracy <= last.instance.accuracy) continue;
    while (hull.length > 1) {
      const [a, b] = hull.slice(-2) as [Offer, Offer];
      if (priceBetween(b, a) > priceBetween(next, b)) break;
      hull.pop();
    }
    hull.push(next);
  }
  return hull.reverse();
}
