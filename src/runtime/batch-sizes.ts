/**
 * The batch sizes that each device runs, smallest first. Powers of two: so few that each can be warmed up, as the first
 * runs of a size are slow.
 *
 * CPU: in a batch of eight, a picture takes some 15 % less CPU time than alone, and the run takes seven times as long
 * (bench/virtual/tables). A larger batch would save little more and miss more deadlines.
 * CUDA: a few pictures use a small part of a GPU, so a run of tens of pictures takes hardly longer than a run of a few.
 * The best limit is not measured yet (docs/gpu.md). A limit that is too high makes the start longer and takes memory of
 * the device, but the plan takes no larger batch than deadlines allow. One that is too low leaves the GPU partly idle.
 */
export const BATCH_SIZES = {
  cpu: [1, 2, 4, 8],
  cuda: [1, 2, 4, 8, 16, 32, 64],
} as const satisfies Record<string, readonly number[]>;
