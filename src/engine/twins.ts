/**
 * Checks at start that this processor computes int8 twins correctly, by comparing each twin with its float32 instance
 * on generated pictures. Int8 kernels differ between processors: on x86 without VNNI, sums of byte products saturated
 * and gave wrong answers without an error, until onnxruntime was told to be exact (runtime/session-options.ts).
 */
import { type Family, floatOf, type Instance } from '../family/instance.js';
import type { Batch, Runtime } from '../runtime/runtime.js';
import { stack } from './batch.js';

/** A twin is wrong above this `relativeDifference` of its logits to those of its float32 instance. */
const MOST_DIFFERENCE = 0.2;
/** How many generated pictures are compared. */
const PICTURES = 3;

const ON_CPUS_ONLY = 'int8 instances are for CPUs, and this service runs on a GPU';
const WRONG = 'the processor of this host computes it wrongly: its answers differ from those of its float32 instance';

export interface BadTwin {
  /** Key of the int8 instance. */
  readonly twin: string;
  /** Its relativeDifference; NaN if logits are not numbers. */
  readonly difference: number;
}

/** A family without the int8 instances that cannot be served on this host. */
export interface CheckedFamily {
  readonly family: Family;
  /** Id of a removed instance -> the reason, in words that follow "it has this instance, but". */
  readonly absent: ReadonlyMap<string, string>;
}

/**
 * On a GPU, removes all int8 instances: onnxruntime's CUDA provider has no int8 convolutions. It would convert to
 * float32, compute, and convert back.
 */
export const forDevice = (family: Family, device: Runtime['device']): CheckedFamily =>
  without({ family, absent: new Map() }, (i) => device === 'cuda' && i.precision === 'int8', ON_CPUS_ONLY);

/** Removes int8 instances that this processor computes wrongly. onBad: called for each, for the log. */
export async function withoutBadTwins(
  checked: CheckedFamily,
  run: (batch: Batch) => Promise<Float32Array>,
  onBad: (bad: BadTwin) => void,
): Promise<CheckedFamily> {
  const bad = await badTwins(checked.family, run);
  bad.forEach(onBad);
  const keys = new Set(bad.map((b) => b.twin));
  return without(checked, ({ key }) => keys.has(key), WRONG);
}

/** Removes the instances that `isAbsent` selects, for this reason. */
function without(
  { family, absent }: CheckedFamily,
  isAbsent: (instance: Instance) => boolean,
  reason: string,
): CheckedFamily {
  const removed = family.instances.filter(isAbsent).map(({ id }) => [id, reason] as const);
  return {
    family: { ...family, instances: family.instances.filter((i) => !isAbsent(i)) },
    absent: new Map([...absent, ...removed]),
  };
}

/** The family's int8 instances that differ too much from their float32 instance; those without one are not checked. */
export async function badTwins(family: Family, run: (batch: Batch) => Promise<Float32Array>): Promise<BadTwin[]> {
  const { height, width, instances } = family;
  const pictures = Array.from({ length: PICTURES }, (_, k) => goldenPicture(height, width, k));
  const logitsOf = ({ key }: Instance) => run({ key, size: PICTURES, images: stack(pictures) });
  const bad: BadTwin[] = [];
  for (const instance of instances.filter((i) => i.precision === 'int8')) {
    const exact = floatOf(instance, instances);
    if (!exact) continue;
    const difference = relativeDifference(await logitsOf(exact), await logitsOf(instance));
    if (!(difference <= MOST_DIFFERENCE)) bad.push({ twin: instance.key, difference });
  }
  return bad;
}

/** Root mean square of b - a, divided by the standard deviation of a. */
export function relativeDifference(a: Float32Array, b: Float32Array): number {
  const mean = a.reduce((sum, v) => sum + v, 0) / a.length;
  const spread = a.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return Math.sqrt(a.reduce((sum, v, n) => sum + ((b[n] as number) - v) ** 2, 0) / spread);
}

/**
 * The k-th generated test picture, uint8 [height, width, 3]; the golden logits in golden.json are of these pictures.
 */
export function goldenPicture(height: number, width: number, k: number): Uint8Array {
  const picture = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) picture[at++] = (31 * x + 17 * y + 7 * c + 13 * k) % 256;
    }
  }
  return picture;
}
