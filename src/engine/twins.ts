/**
 * Whether int8 twins answer on this processor as they do where they were measured. Kernels differ: on x86 processors
 * without VNNI sums of products of bytes saturated until onnxruntime was told to be exact (runtime/session-options.ts),
 * which gave wrong answers and no error; so each twin is compared with its instance once, at start.
 */
import type { Family, Instance } from '../family/instance.js';
import type { Batch, Runtime } from '../runtime/runtime.js';
import { stack } from './batch.js';

/** Largest root mean square of the difference of logits, as a share of their standard deviation. */
const MOST = 0.2;
const PICTURES = 3;

export interface BadTwin {
  /** Key of the instance. */
  readonly twin: string;
  /** As MOST; NaN if logits are no numbers. */
  readonly difference: number;
}

/** The families without those int8 instances, and their keys; told: of each. On free threads, before anything is served. */
export async function withoutBadTwins(
  families: readonly Family[],
  runtime: Pick<Runtime, 'run'>,
  told: (bad: BadTwin) => void,
): Promise<{ readonly families: Family[]; readonly wrong: ReadonlySet<string> }> {
  const good: Family[] = [];
  const wrong = new Set<string>();
  for (const family of families) {
    const bad = await badTwins(family, (batch) => runtime.run(batch));
    bad.forEach(told);
    for (const { twin } of bad) wrong.add(twin);
    good.push({ ...family, instances: family.instances.filter((i) => !wrong.has(i.key)) });
  }
  return { families: good, wrong };
}

/** The family's int8 instances that differ from their float32 ones by more than they may; those without one are not looked at. */
export async function badTwins(family: Family, run: (batch: Batch) => Promise<Float32Array>): Promise<BadTwin[]> {
  const { height, width, instances } = family;
  const pictures = Array.from({ length: PICTURES }, (_, k) => goldenPicture(height, width, k));
  const logitsOf = ({ key }: Instance) => run({ key, size: PICTURES, images: stack(pictures) });
  const bad: BadTwin[] = [];
  for (const instance of instances.filter((i) => i.precision === 'int8')) {
    const exact = instances.find((i) => i.precision === 'float32' && i.p === instance.p && i.r === instance.r);
    if (!exact) continue;
    const difference = relativeDifference(await logitsOf(exact), await logitsOf(instance));
    if (!(difference <= MOST)) bad.push({ twin: instance.key, difference });
  }
  return bad;
}

/** Root mean square of b - a, as a share of the standard deviation of a. */
export function relativeDifference(a: Float32Array, b: Float32Array): number {
  const mean = a.reduce((sum, v) => sum + v, 0) / a.length;
  const spread = a.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return Math.sqrt(a.reduce((sum, v, n) => sum + ((b[n] as number) - v) ** 2, 0) / spread);
}

/** uint8 [height, width, 3]: the pictures that golden.json is about. */
export function goldenPicture(height: number, width: number, k: number): Uint8Array {
  const picture = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) picture[at++] = (31 * x + 17 * y + 7 * c + 13 * k) % 256;
    }
  }
  return picture;
}
