/** Pure: the test pictures in two halves, one to know the accuracy of each instance from, the other to send. */
import { mean } from '../../src/load/statistics.js';
import type { Profile } from '../../src/load/summary.js';
import type { Reference } from '../accuracy/compare.js';
import type { Picture } from './job.js';

/**
 * The profile from the files at even positions of the reference, and those at odd ones to be sent: classes come one
 * after another there, so both halves have all of them.
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
