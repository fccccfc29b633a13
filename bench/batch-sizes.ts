/** The batch sizes of a CPU: the benches and their tables of run times are about CPUs. */
import { BATCH_SIZES as BY_DEVICE } from '../src/runtime/batch-sizes.js';

export const BATCH_SIZES: readonly number[] = BY_DEVICE.cpu;
export const MAX_BATCH = Math.max(...BATCH_SIZES);
