/**
 * The interface that runs batches. The rest of the service uses nothing else of the engine threads; tests pass a fake.
 */

/** One ONNX graph, known to every engine thread under its key. */
export interface Graph {
  /** The instance's key (family/instance.ts). */
  readonly key: string;
  /** The graph as exported, in the family's folder. */
  readonly path: string;
  /**
   * The same graph as optimised for this host at an earlier time; used instead of `path` if it can be loaded. pack:
   * whether each session has to pack its weights.
   */
  readonly optimised?: { readonly path: string; readonly pack: boolean } | undefined;
  /** Shape of one picture: [height, width, 3]. */
  readonly shape: readonly [number, number, 3];
  /** How many logits it gives for one picture. */
  readonly classes: number;
}

export interface Batch {
  /** Key of the graph to run. */
  readonly key: string;
  /** How many pictures. */
  readonly size: number;
  /** uint8 [size, height, width, 3]; transferred to the thread, so that the caller cannot use it afterwards. */
  readonly images: ArrayBuffer;
}

/** Result of a run. */
export interface Ran {
  /** Outputs of the network, float32 [size, classes]. */
  readonly logits: Float32Array;
  /**
   * CPU time of the run; undefined if unknown: with several ONNX threads, on a GPU, and on systems other than Linux.
   */
  readonly cpuMs: number | undefined;
}

export interface Runtime {
  /** The device that runs are made on. */
  readonly device: 'cpu' | 'cuda';
  /** The sizes that a batch may have on this device, smallest first; the first is 1. */
  readonly batchSizes: readonly number[];
  /** Configured number of engine threads. */
  readonly threads: number;
  /** Threads that could begin a run now. */
  readonly idle: number;
  /** Threads that have loaded their graphs and not died. */
  readonly alive: number;
  /** Calls back whenever a thread becomes idle; returns a function that ends the subscription. */
  onIdle(callback: () => void): () => void;
  /**
   * Runs a batch on an idle thread; the caller has checked that there is one. Prefers the thread that ran this graph
   * last, because its CPU caches may still hold the weights. A graph that is not kept (see `keep`) is loaded first.
   * Resolves to logits [size, classes] float32. Rejects with DimmerError `engine-failed` if the run or its thread
   * fails.
   */
  run(batch: Batch): Promise<Float32Array>;
  /**
   * Loads more graphs in every thread; they stay loaded. The loads are background runs, as in `onEveryThread`. Rejects
   * with Error if a graph cannot be loaded or run, or if a thread dies meanwhile; then none of them stays.
   */
  add(graphs: readonly Graph[]): Promise<void>;
  /** Forgets and frees these graphs in every thread. The caller has made sure that nobody runs them any more. */
  remove(keys: ReadonlySet<string>): void;
  /**
   * Calls `work` once for each thread, all at the same time; `run` runs on that thread, in the background. Background
   * runs (warm-up, measurement, loading) wait for the run that is under way. While other runs are wanted, they get at
   * most a small share of the thread's time. A run rejects with DimmerError `engine-failed`.
   */
  onEveryThread(work: (run: (batch: Batch) => Promise<Ran>) => Promise<void>): Promise<void>;
  /**
   * Frees all graphs but these in every thread, replacements included. Other graphs are loaded again when they are run.
   */
  keep(keys: ReadonlySet<string>): void;
  /** Whether every thread keeps this graph loaded. */
  keeps(key: string): boolean;
  /** Ends all threads after their current runs, which cannot be cancelled. */
  close(): Promise<void>;
}
