/**
 * Decides whether int8 instances are clearly faster on this host than the float32 instances they were made from. Pure.
 */
import { floatOf, type Instance } from '../family/instance.js';
import type { RunSamples } from './baselines.js';
import { LOW } from './line.js';
import { quantileOf } from './quantile.js';

/**
 * Int8 is used if it takes less than this share of the time of float32. Chosen, not swept: with the processor
 * instructions that int8 needs the gain is large, and without them there is almost none. The median of a family's pairs
 * decides, because single pairs differ on a busy host.
 */
const MOST_SHARE = 0.75;

/**
 * Time of int8 over time of float32: the median of all pairs of a family, as the processor decides it and not the
 * instance. undefined if there is no pair whose instances were both run at the same batch size.
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
  if (ratio === undefined || ratio >= MOST_SHARE) return [];
  return instances.filter((i) => i.precision === 'int8' && floatOf(i, instances)).map((i) => i.key);
}

/** Time of one over time of the other, as the geometric mean over the batch sizes that both have; undefined if none. */
function ratioOf(twin: RunSamples[string], float: RunSamples[string]): number | undefined {
  const logs = Object.keys(float).flatMap((size) => {
    const [a, b] = [quantileOf(twin[size] ?? [], LOW), quantileOf(float[size] ?? [], LOW)];
    return a && b ? [Math.log(a / b)] : [];
  });
  return logs.length ? Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length) : undefined;
}
