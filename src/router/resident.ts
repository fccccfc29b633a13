/** Selects the instances that every engine thread keeps loaded. Pure. */
import { fullInstance, type Instance } from '../family/instance.js';

/** A family, as this selection needs it. */
export interface Offered {
  readonly instances: readonly Instance[];
  /** The served instances (frontier.ts); `full` is one of them. */
  readonly chosen: readonly Instance[];
  /** Whether its instances share their weights. */
  readonly shared: boolean;
}

/**
 * Keys of the resident instances. A family with shared weights has all instances resident, as each further one costs
 * almost no memory; other families have their served ones. most: the number of instances is cut to this limit, but
 * every family keeps `full`. The families take turns, and each gives `full`, its cheapest, its dearest, its next
 * cheapest and so on, so that the remaining instances cover a wide range of costs.
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

/** `full`, then the others from both ends of the order by FLOPs: cheapest, dearest, next cheapest, next dearest. */
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
