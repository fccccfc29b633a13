/** Which instances every engine thread keeps loaded. Pure. */
import { fullInstance, type Instance } from '../family/instance.js';

/** What a family offers. */
export interface Offered {
  readonly instances: readonly Instance[];
  /** Those that are worth choosing from; `full` is one of them. */
  readonly chosen: readonly Instance[];
  /** Whether its instances share their weights. */
  readonly shared: boolean;
}

/**
 * Keys. Where weights are shared all are resident, as they cost next to nothing; else those that are worth choosing from.
 * most: how many at most; then `full` of each family first, its cheapest next, and so on from both ends, the families in
 * turn, so that what is left has a wide choice of costs.
 */
export function residentOf(families: readonly Offered[], most = Number.POSITIVE_INFINITY): Set<string> {
  const wanted = families.map(({ instances, chosen, shared }) => {
    const rest = shared ? instances.filter((i) => !chosen.includes(i)) : [];
    return [...fromBothEnds(chosen), ...rest];
  });
  const turns = Math.max(0, ...wanted.map((w) => w.length));
  const all = Array.from({ length: turns }, (_, n) => wanted.flatMap((w) => w[n] ?? [])).flat();
  return new Set(all.slice(0, Math.max(families.length, most)).map((i) => i.key));
}

function fromBothEnds(chosen: readonly Instance[]): Instance[] {
  const full = fullInstance(chosen);
  const byCost = chosen.filter((i) => i !== full).sort((a, b) => a.flops - b.flops);
  const ends: Instance[] = [full];
  for (let [low, high] = [0, byCost.length - 1]; low <= high; low++, high--) {
    ends.push(byCost[low] as Instance);
    if (high > low) ends.push(byCost[high] as Instance);
  }
  return ends;
}
