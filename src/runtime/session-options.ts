/** Options of an onnxruntime session. Pure, so that the CUDA path can be tested where there is no GPU. */
import { basename } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { ThreadOptions } from './messages.js';
import type { Graph } from './runtime.js';

type Options = InferenceSession.SessionOptions;

/** Without it sums of products of bytes saturate on x86 processors without VNNI, and int8 answers are worse. */
const EXACT_INT8 = { x64quantprecision: '1' };

const COMMON = {
  interOpNumThreads: 1,
  // onnxruntime's own arena never gives anything back, and each session has one.
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4, // native errors would go to stderr besides the exception
} as const;

/** optimised: the graph was optimised before, for this host. */
export function sessionOptions(
  { provider, onnxThreads }: Pick<ThreadOptions, 'provider' | 'onnxThreads'>,
  optimised?: Graph['optimised'],
): Options {
  return {
    ...COMMON,
    // CUDA alone, never with cpu behind it: onnxruntime would put on the CPU what CUDA cannot do, and say nothing.
    executionProviders: [provider],
    // Always explicit: onnxruntime sizes its own pool from the host's cores, blind to cgroups (onnxruntime#29510).
    intraOpNumThreads: onnxThreads,
    graphOptimizationLevel: optimised ? 'disabled' : 'all',
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        ...EXACT_INT8,
        // Else each session packs a copy of its own.
        ...(optimised && !optimised.pack && { disable_prepacking: '1' }),
      },
    },
  };
}

/**
 * To write a graph as it is optimised for this host. Without the fusions that multiply weights by what differs between
 * instances: which of them are worth a copy is chosen before (weights/fold.ts). data: a file in the same folder for tensors,
 * and for what they are packed to.
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
