/** Options of an onnxruntime session. Pure, so that the CUDA path can be tested where there is no GPU. */
import type { InferenceSession } from 'onnxruntime-node';
import type { ThreadOptions } from './messages.js';

export function sessionOptions({
  provider,
  onnxThreads,
  arena,
}: Omit<ThreadOptions, 'graphs' | 'kept'>): InferenceSession.SessionOptions {
  return {
    // CUDA alone, never with cpu behind it: onnxruntime would put on the CPU what CUDA cannot do, and say nothing.
    executionProviders: [provider],
    // Always explicit: onnxruntime sizes its own pool from the host's cores, blind to cgroups (onnxruntime#29510).
    intraOpNumThreads: onnxThreads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    enableCpuMemArena: arena,
    enableMemPattern: false,
    logSeverityLevel: 4, // native errors would go to stderr besides the exception
    extra: {
      session: {
        intra_op: { allow_spinning: '0' },
        // Without it sums of products of bytes saturate on x86 processors without VNNI, and int8 answers are worse.
        x64quantprecision: '1',
      },
    },
  };
}
