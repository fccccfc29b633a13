/** Which instances are worth serving on this host. Pure. */
import type { Instance } from '../family/instance.js';

/** Latencies closer than this are taken as equal: measurement is no finer. */
const SAME_LATENCY = 1.03;

/**
 * The instances that no other makes pointless, and always `full`. An instance is off the frontier if another has no
 * more FLOPs, is no slower (batch 1, within 3 %) and is no less accurate, and is better in one of the three.
 *
 * latencyMs: batch-1 latency on this host, a median: high quantiles of a few noisy runs may lie the other way round.
 */
export function frontier(instances: readonly Instance[], latencyMs: (i: Instance) => number): Instance[] {
  const beats = (a: Instance, b: Instance) => {
    const [fast, slow] = [latencyMs(a), latencyMs(b)];
    const noWorse = a.flops <= b.flops && fast <= slow * SAME_LATENCY && a.accuracy >= b.accuracy;
    return noWorse && (a.flops < b.flops || a.accuracy > b.accuracy || fast * SAME_LATENCY < slow);
  };
  return instances.filter((b) => b.id === 'full' || !instances.some((a) => beats(a, b)));
}
