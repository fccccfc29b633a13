/** What runs a batch. The rest of the service sees this interface only, so that threads can be replaced by something else. */

/** One ONNX graph, known to every engine thread under its key. */
export interface Graph {
  /** `cifar10/p02-r500` */
  readonly key: string;
  /** As the family has it. */
  readonly path: string;
  /** The same, optimised for this host before; used in its place where it can be loaded. */
  readonly optimised?:
    | { readonly path: string /** Whether its weights have to be packed for each session. */; readonly pack: boolean }
    | undefined;
  /** Shape of one picture: [height, width, 3]. */
  readonly shape: readonly [number, number, 3];
  /** How many logits it gives for one picture. */
  readonly classes: number;
}

export interface Batch {
  readonly key: string;
  /** How many pictures. */
  readonly size: number;
  /** uint8 [size, height, width, 3]; it is handed over and cannot be used afterwards. */
  readonly images: ArrayBuffer;
}

/** What a run on one thread gave. */
export interface Ran {
  /** [size, classes] */
  readonly logits: Float32Array;
  /** CPU time; undefined where it is not known: with several ONNX threads, on a GPU, on another system than Linux. */
  readonly cpuMs: number | undefined;
}

export interface Runtime {
  /** The device that really runs, never merely the one asked for. */
  readonly device: 'cpu' | 'cuda';
  /** How many engine threads there are when all are well. */
  readonly threads: number;
  /** How many are free now. */
  readonly idle: number;
  /** How many are loaded and alive now. */
  readonly alive: number;
  /** Calls back whenever a thread has become free; returns what ends that. */
  onIdle(callback: () => void): () => void;
  /**
   * Runs on a free thread, on one that ran the same last if there is one, whose caches may still hold its weights; the
   * caller has checked that one is free. A graph that is not kept is loaded first, and freed when others have been since.
   * Resolves to logits [size, classes] float32. Rejects with DimmerError `engine-failed` if the run or its thread fails.
   */
  run(batch: Batch): Promise<Float32Array>;
  /** Runs the same work on every thread, all at once, one run after another; for warm-up and measurement. */
  onEveryThread(work: (run: (batch: Batch) => Promise<Ran>) => Promise<void>): Promise<void>;
  /** Frees all graphs but these, in running threads and in later ones; any other can still be run. */
  keep(keys: ReadonlySet<string>): void;
  /** Whether this graph is ready in every thread. */
  keeps(key: string): boolean;
  /** Waits for runs to end, then for the threads. A run cannot be cancelled. */
  close(): Promise<void>;
}
