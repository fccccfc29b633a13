/**
 * Selects the instances that requests are served from. Pure: the frontier follows from the manifest, the same at each
 * start.
 */
import { fullInstance, type Instance, samePlace } from '../family/instance.js';

/**
 * The Pareto frontier of accuracy over FLOPs: the float32 instances that no other float32 instance beats, having no
 * more FLOPs and no less accuracy and being better in one of the two. `full` is always included.
 */
export function frontier(instances: readonly Instance[]): Instance[] {
  const floats = instances.filter((i) => i.precision === 'float32');
  const beats = (a: Instance, b: Instance) =>
    a.flops <= b.flops && a.accuracy >= b.accuracy && (a.flops < b.flops || a.accuracy > b.accuracy);
  const full = fullInstance(instances);
  return floats.filter((b) => b === full || !floats.some((a) => beats(a, b)));
}

/**
 * The served instances: the frontier, in which int8 twins that are faster on this host (keys in fasterTwins) replace
 * their float32 instances. `full` stays beside its twin.
 */
export function chosenFrom(instances: readonly Instance[], fasterTwins: ReadonlySet<string>): Instance[] {
  const full = fullInstance(instances);
  return frontier(instances).flatMap((float) => {
    const twin = instances.find((i) => fasterTwins.has(i.key) && samePlace(i, float));
    if (!twin) return [float];
    return float === full ? [float, twin] : [twin];
  });
}
