/** Whether int8 instances are clearly faster here than the float32 ones that they were made from. Pure. */
import type { Instance } from '../family/instance.js';
import type { RunSamples } from './baselines.js';
import { LOW } from './line.js';
import { quantileOf } from './quantile.js';

/**
 * Int8 that takes more of the time of float32 than this stays aside. Twins run one right after the other, and yet the
 * ratios of single pairs differ on a busy host; so the median of a family's pairs decides. Chosen, not swept: int8 gains
 * much with the instructions that it is made for, and next to nothing without them.
 */
const CLEARLY = 0.75;

const floatOf = (twin: Instance, instances: readonly Instance[]): Instance | undefined =>
  instances.find((i) => i.precision === 'float32' && i.p === twin.p && i.r === twin.r);

/**
 * What int8 takes of the time of float32, the median of all pairs of a family: what makes int8 fast is the processor, not
 * the instance. undefined if there is no pair, or none of which both were run at one size.
 */
export function int8Ratio(instances: readonly Instance[], samples: RunSamples): number | undefined {
  const ratios = instances.flatMap((twin) => {
    const float = twin.precision === 'int8' ? floatOf(twin, instances) : undefined;
    return (float && ratioOf(samples[twin.key] ?? {}, samples[float.key] ?? {})) ?? [];
  });
  return quantileOf(ratios, 0.5);
}

/** Keys of the int8 instances of a family that are clearly faster than their float32 ones: all, or none. */
export function fasterTwins(instances: readonly Instance[], samples: RunSamples): readonly string[] {
  const ratio = int8Ratio(instances, samples);
  if (ratio === undefined || ratio >= CLEARLY) return [];
  return instances.filter((i) => i.precision === 'int8' && floatOf(i, instances)).map((i) => i.key);
}

/** Geometric mean over the sizes: each counts alike. undefined if they share none. */
function ratioOf(twin: RunSamples[string], float: RunSamples[string]): number | undefined {
  const logs = Object.keys(float).flatMap((size) => {
    const [a, b] = [quantileOf(twin[size] ?? [], LOW), quantileOf(float[size] ?? [], LOW)];
    return a && b ? [Math.log(a / b)] : [];
  });
  return logs.length ? Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length) : undefined;
}
