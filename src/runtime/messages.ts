/** All that crosses the border of an engine thread. */
import type { Batch, Graph, Ran } from './runtime.js';

export interface ThreadOptions {
  readonly provider: 'cpu' | 'cuda';
  readonly onnxThreads: number;
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
  /** So many graphs are loaded and warm. */
  | { readonly type: 'loaded'; readonly graphs: number }
  | { readonly type: 'ready' }
  /** A graph that was optimised before cannot be loaded; it is optimised while it is loaded, in memory of its own. */
  | { readonly type: 'not-shared'; readonly key: string; readonly message: string }
  | { readonly type: 'start-failed'; readonly message: string }
  | ({ readonly type: 'result' } & Ran)
  | { readonly type: 'run-failed'; readonly message: string };
