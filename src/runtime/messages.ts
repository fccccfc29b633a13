/** All that crosses the border of an engine thread. */
import type { Batch, Graph, Ran } from './runtime.js';

export interface ThreadOptions {
  readonly provider: 'cpu' | 'cuda';
  readonly onnxThreads: number;
  /** Large blocks are cheap under jemalloc and dear under glibc, where onnxruntime's own arena is needed. */
  readonly arena: boolean;
  /** Those that can be run. */
  readonly graphs: readonly Graph[];
  /** Keys of those that are loaded at start and stay; all, if it is not there. */
  readonly kept?: ReadonlySet<string> | undefined;
}

export type ToThread =
  | ({ readonly type: 'run' } & Batch)
  | { readonly type: 'keep'; readonly keys: ReadonlySet<string> }
  | { readonly type: 'close' };

export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'start-failed'; readonly message: string }
  | ({ readonly type: 'result' } & Ran)
  | { readonly type: 'run-failed'; readonly message: string };
