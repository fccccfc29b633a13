/** Which instances are worth choosing from. Pure: it follows from the manifest alone, so every start chooses from the same. */
import { fullInstance, type Instance } from '../family/instance.js';

/**
 * Of the float32 instances those that no other makes pointless, which has no more FLOPs and no less accuracy and is better
 * in one; and always `full`.
 */
export function frontier(instances: readonly Instance[]): Instance[] {
  const floats = instances.filter((i) => i.precision === 'float32');
  const beats = (a: Instance, b: Instance) =>
    a.flops <= b.flops && a.accuracy >= b.accuracy && (a.flops < b.flops || a.accuracy > b.accuracy);
  const full = fullInstance(instances);
  return floats.filter((b) => b === full || !floats.some((a) => beats(a, b)));
}

/**
 * The frontier, in which int8 instances take the places of the float32 ones that they were made from where they are
 * faster on this host; `full` stays as well.
 */
export function chosenFrom(instances: readonly Instance[], fasterTwins: ReadonlySet<string>): Instance[] {
  const full = fullInstance(instances);
  return frontier(instances).flatMap((float) => {
    const twin = instances.find((i) => fasterTwins.has(i.key) && i.p === float.p && i.r === float.r);
    if (!twin) return [float];
    return float === full ? [float, twin] : [twin];
  });
}
