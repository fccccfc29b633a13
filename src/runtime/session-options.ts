/** Options of onnxruntime sessions. Pure, so that those for CUDA can be tested without a GPU. */
import { basename } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { ThreadOptions } from './messages.js';
import type { Graph } from './runtime.js';

type Options = InferenceSession.SessionOptions;

/** Exact int8 arithmetic: without this option, sums of byte products saturate on x86 processors without VNNI. */
const EXACT_INT8 = { x64quantprecision: '1' };

const COMMON = {
  interOpNumThreads: 1,
  // onnxruntime's arena never returns memory to the system, and each session has its own.
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4, // else native errors also go to stderr; the exception has the same text
} as const;

/** Options to run a graph. optimised: given if the graph was already optimised for this host. */
export function sessionOptions(
  { provider, onnxThreads }: Pick<ThreadOptions, 'provider' | 'onnxThreads'>,
  optimised?: Graph['optimised'],
): Options {
  return {
    ...COMMON,
    // No CPU provider after CUDA: onnxruntime would silently run on the CPU what CUDA cannot do.
    executionProviders: [provider],
    // Always explicit: the default is the number of the host's cores, whatever cgroups allow (onnxruntime#29510).
    intraOpNumThreads: onnxThreads,
    graphOptimizationLevel: optimised ? 'disabled' : 'all',
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        ...EXACT_INT8,
        // Packing makes a private copy of the weights in each session.
        ...(optimised && !optimised.pack && { disable_prepacking: '1' }),
      },
    },
  };
}

/**
 * Options to write a graph to `path` as optimised for this host. Fusions that change weights differently for each
 * instance are disabled, because weights/fold.ts has already done those that are worth their memory. data: a file in
 * the same folder for tensors and their packed forms; undefined to keep tensors in the graph.
 */
export function optimisingOptions(path: string, data?: string): Options {
  return {
    ...COMMON,
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    optimizedModelFilePath: path,
    extra: {
      optimization: { disable_specified_optimizers: 'ConvBNFusion;ConvMulFusion;ConvAddFusion' },
      session: {
        ...EXACT_INT8,
        ...(data === undefined
          ? { disable_prepacking: '1' }
          : {
              save_external_prepacked_constant_initializers: '1',
              optimized_model_external_initializers_file_name: basename(data),
            }),
      },
    },
  };
}
