/**
 * Which instance a picture gets at a price of CPU: of the allowed ones, that with the largest accuracy - price x CPU
 * time. The price (accuracy per CPU-ms) is the Lagrange multiplier of the limit that all pictures share the CPUs. Pure.
 */
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import type { CpuMs, WallMs } from '../latency/units.js';
import { fullBatch, type Snapshot } from './snapshot.js';

/** An instance, and the time that a picture takes on it. */
export interface Offer {
  readonly instance: Instance;
  /** CPU time for each picture of a full batch. */
  readonly cpuMs: CpuMs;
  /** A run of one picture: 95th percentile. */
  readonly aloneHighMs: WallMs;
  /** A run of one picture: mean. */
  readonly aloneMeanMs: WallMs;
}

/** What can be chosen from one list of allowed instances. */
export interface Offers {
  /**
   * The instances that are the best choice at some price, most accurate first: the upper convex hull of accuracy over
   * CPU time. An instance below the hull is beaten by a mix of two instances on the hull.
   */
  readonly hull: readonly Offer[];
  /**
   * Per place in the hull: the price (accuracy per CPU-ms) from which the next place is better; Infinity for the last.
   */
  readonly upTo: readonly number[];
  /** The smallest 95th percentile of a run of one picture, over all allowed instances. */
  readonly fastestHighMs: WallMs;
  /** The smallest mean of a run of one picture, over all allowed instances. */
  readonly fastestMeanMs: WallMs;
}

export type OffersOf = (allowed: readonly Instance[]) => Offers;

/**
 * Looks up the offers of a list and computes them once for each list: thousands of waiting pictures share a few lists.
 */
export function offersOf({ latency, batchSizes }: Pick<Snapshot, 'latency' | 'batchSizes'>): OffersOf {
  const full = fullBatch({ batchSizes });
  const offers = new Map<Instance, Offer>();
  const lists = new Map<readonly Instance[], Offers>();
  const offerOf = (instance: Instance): Offer =>
    getOrInsert(offers, instance, () => {
      const alone = latency.run(instance.key, 1);
      return {
        instance,
        cpuMs: latency.run(instance.key, full).cpuMs / full,
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

/** The price at which both offers are equally good: the difference in accuracy over the difference in CPU time. */
const priceBetween = (dear: Offer, cheap: Offer | undefined): number =>
  cheap ? (dear.instance.accuracy - cheap.instance.accuracy) / (dear.cpuMs - cheap.cpuMs) : Number.POSITIVE_INFINITY;

/** The offer with the largest accuracy - price x CPU time; of two that are equal, the cheaper one. */
export function choiceAt({ hull, upTo }: Offers, price: number): Offer {
  let n = 0;
  while (price >= (upTo[n] as number) && n < hull.length - 1) n++;
  return hull[n] as Offer;
}

/**
 * The upper convex hull of accuracy over CPU time, most accurate first, by the monotone chain algorithm (Andrew 1979).
 * From the cheapest on, each further instance gains less accuracy per CPU-ms than the one before.
 */
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
