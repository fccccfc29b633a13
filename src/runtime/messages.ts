/** All messages to and from an engine thread. */
import type { Batch, Graph, Ran } from './runtime.js';

export interface ThreadOptions {
  readonly provider: 'cpu' | 'cuda';
  readonly onnxThreads: number;
  /** Graphs that can be run. */
  readonly graphs: readonly Graph[];
  /** Keys of the graphs that are loaded at start and stay loaded; all graphs if missing. */
  readonly kept?: ReadonlySet<string> | undefined;
}

export type ToThread =
  | ({ readonly type: 'run' } & Batch)
  | { readonly type: 'keep'; readonly keys: ReadonlySet<string> }
  /** A graph that can be run from now on and stays loaded once it has been. */
  | { readonly type: 'add'; readonly graph: Graph }
  | { readonly type: 'remove'; readonly keys: ReadonlySet<string> }
  | { readonly type: 'close' };

export type FromThread =
  /** How many graphs are loaded and have had their first run. */
  | { readonly type: 'loaded'; readonly graphs: number }
  | { readonly type: 'ready' }
  /** The kept optimised graph cannot be loaded, so the original is loaded instead, with its own copy of the weights. */
  | { readonly type: 'not-shared'; readonly key: string; readonly message: string }
  | { readonly type: 'start-failed'; readonly message: string }
  | ({ readonly type: 'result' } & Ran)
  | { readonly type: 'run-failed'; readonly message: string };
