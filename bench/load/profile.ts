/**
 * Splits the test pictures: one half gives the accuracy of each instance (the profile), the other half is sent. Pure.
 */
import { mean } from '../../src/load/statistics.js';
import type { Profile } from '../../src/load/summary.js';
import type { Reference } from '../accuracy/compare.js';
import type { Picture } from './job.js';

/**
 * profile: from the files at even positions of the reference. replay: the files at odd positions. A reference lists its
 * files class by class, so both halves have pictures of every class.
 */
export function halves({ files, labels, instances }: Reference): { profile: Profile; replay: Picture[] } {
  const isProfile = (position: number) => position % 2 === 0;
  const profile = Object.fromEntries(
    Object.entries(instances).map(([id, { predicted }]) => [
      id,
      mean(predicted.flatMap((index, i) => (isProfile(i) ? [Number(index === labels[i])] : []))),
    ]),
  );
  const replay = files.flatMap((file, i) => (isProfile(i) ? [] : [{ file, label: labels[i] as number }]));
  return { profile, replay };
}
/** Arithmetic mean; NaN for no values. */
