/** Which int8 instances are clearly faster here than the float32 ones that they were made from. Pure. */
import type { Instance } from '../family/instance.js';
import type { RunSamples } from './baselines.js';
import { LOW } from './line.js';
import { quantileOf } from './quantile.js';

/**
 * An int8 instance that takes more of the time of its float32 one than this stays aside. Twins run one right after the
 * other, and ratios of low quantiles differ by up to a tenth from start to start on a busy host; where int8 is worth it at
 * all, it takes three quarters of the time or less.
 */
const CLEARLY = 0.85;

export const floatOf = (twin: Instance, instances: readonly Instance[]): Instance | undefined =>
  instances.find((i) => i.precision === 'float32' && i.p === twin.p && i.r === twin.r);

/** Keys of the int8 instances that are, over all batch sizes that both were run at. */
export function fasterTwins(instances: readonly Instance[], samples: RunSamples): ReadonlySet<string> {
  const faster = instances.filter((twin) => {
    const float = twin.precision === 'int8' ? floatOf(twin, instances) : undefined;
    const ratio = float && ratioOf(samples[twin.key] ?? {}, samples[float.key] ?? {});
    return ratio !== undefined && ratio < CLEARLY;
  });
  return new Set(faster.map((i) => i.key));
}

/** Geometric mean over the sizes: each counts alike. undefined if they share none. */
function ratioOf(twin: RunSamples[string], float: RunSamples[string]): number | undefined {
  const logs = Object.keys(float).flatMap((size) => {
    const [a, b] = [quantileOf(twin[size] ?? [], LOW), quantileOf(float[size] ?? [], LOW)];
    return a && b ? [Math.log(a / b)] : [];
  });
  return logs.length ? Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length) : undefined;
}
