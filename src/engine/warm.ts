/** Warm-up: the slow first run of each batch size is made before an instance is served. */
import type { Family } from '../family/instance.js';
import type { Runtime } from '../runtime/runtime.js';

/**
 * Runs the instances with these keys at every batch size on every engine thread. On a GPU the first run of a size takes
 * many times as long as the next, because cuDNN searches for the fastest algorithm for its shapes. On a CPU the first
 * run hardly differs, so nothing is done. Raises DimmerError engine-failed if a run fails, for instance because the
 * device has too little memory for a large batch.
 */
export async function warmBatches(
  runtime: Pick<Runtime, 'device' | 'batchSizes' | 'onEveryThread'>,
  families: readonly Family[],
  keys: ReadonlySet<string>,
): Promise<void> {
  if (runtime.device === 'cpu') return;
  await runtime.onEveryThread(async (run) => {
    for (const { height, width, instances } of families) {
      for (const { key } of instances.filter((i) => keys.has(i.key))) {
        for (const size of runtime.batchSizes) {
          await run({ key, size, images: new ArrayBuffer(size * height * width * 3) });
        }
      }
    }
  });
}
