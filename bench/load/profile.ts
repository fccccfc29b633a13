/** Pure: the test pictures in two halves, one to know the accuracy of each instance from, the other to send. */
import type { Reference } from '../accuracy/compare.js';
import type { Picture } from './job.js';

/** Top-1 by instance id. */
export type Profile = Readonly<Record<string, number>>;

/**
 * The profile from the files at even positions of the reference, and those at odd ones to be sent: classes come one
 * after another there, so both halves have all of them. Throws Error for a file whose class is no label.
 */
export function halves(reference: Reference, labels: readonly string[]): { profile: Profile; replay: Picture[] } {
  const label = reference.files.map((file) => labelOf(file, labels));
  const isProfile = (position: number) => position % 2 === 0;
  const profile = Object.fromEntries(
    Object.entries(reference.instances).map(([id, { predicted }]) => [
      id,
      mean(predicted.flatMap((index, i) => (isProfile(i) ? [Number(index === label[i])] : []))),
    ]),
  );
  const replay = reference.files.flatMap((file, i) => (isProfile(i) ? [] : [{ file, label: label[i] as number }]));
  return { profile, replay };
}

/** file: `test/<class>/<name>` */
function labelOf(file: string, labels: readonly string[]): number {
  const label = labels.indexOf(file.split('/')[1] as string);
  if (label < 0) throw new Error(`the family has no label for ${file}; it has ${labels.join(', ')}`);
  return label;
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((a, b) => a + b, 0) / values.length;
}
