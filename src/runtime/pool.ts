/** The pool of engine threads: starts them, runs batches on idle ones, replaces dead ones, and closes them. */
import { readFileSync } from 'node:fs';
import './no-telemetry.js';
import { DimmerError, StartError } from '../errors.js';
import { Listeners } from '../listeners.js';
import { BATCH_SIZES } from './batch-sizes.js';
import type { FromThread, ThreadOptions } from './messages.js';
import type { Batch, Graph, Ran, Runtime } from './runtime.js';
import { Thread } from './thread.js';

export type ThreadEvent = 'died' | 'replaced' | 'replacement-failed' | 'not-shared';

export interface PoolOptions extends Omit<ThreadOptions, 'kept'> {
  readonly threads: number;
  /**
   * Called when a thread died, was replaced or could not be, or had to load a graph with its own weights (not-shared).
   */
  readonly onThread?: (event: ThreadEvent, message: string) => void;
  /** Called during the start. graphs: how many the slowest thread has loaded. */
  readonly onLoaded?: (graphs: number) => void;
  /** Script of the threads; tests pass their own. */
  readonly worker?: URL;
}

/** The script has the same extension as this file: JavaScript when compiled, TypeScript under a loader. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
/** What to do about a start that failed on cuda: onnxruntime's message names only a file or an error number. */
const CUDA_NEEDS =
  '. EXECUTION_PROVIDER=cuda needs an NVIDIA GPU that this process can see, its driver, and the libraries that docs/gpu.md lists; cpu needs none of them';
/** Delay before a replacement that failed to start is tried again; doubled each time up to the last. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

/** Whether jemalloc is the allocator of this process; undefined where there is no /proc. */
export function hasJemalloc(maps = '/proc/self/maps'): boolean | undefined {
  try {
    return readFileSync(maps, 'utf8').includes('jemalloc');
  } catch {
    return undefined;
  }
}

export class ThreadPool implements Runtime {
  readonly device: 'cpu' | 'cuda';
  readonly batchSizes: readonly number[];
  readonly threads: number;
  readonly #idle = new Listeners();
  readonly #options: PoolOptions;
  /** Graphs that can be run. */
  #graphs: readonly Graph[];
  /** Keys of the graphs that stay loaded; undefined for all. */
  #kept: ReadonlySet<string> | undefined;
  #pool = new Set<Thread>();
  #retry: NodeJS.Timeout | undefined;
  #closing = false;

  private constructor(options: PoolOptions) {
    this.#options = options;
    this.#graphs = options.graphs;
    this.device = options.provider;
    this.batchSizes = BATCH_SIZES[options.provider];
    this.threads = options.threads;
  }

  /** Starts every thread, which loads every graph. Raises StartError if one fails, after closing the others. */
  static async start(options: PoolOptions): Promise<ThreadPool> {
    const pool = new ThreadPool(options);
    const starts = await Promise.allSettled(Array.from({ length: options.threads }, () => pool.#spawn()));
    const failed = starts.find((s) => s.status === 'rejected');
    if (!failed) return pool;
    await pool.close();
    throw new StartError(
      `an engine thread cannot start on ${options.provider}: ${failed.reason.message}${options.provider === 'cuda' ? CUDA_NEEDS : ''}`,
    );
  }

  get #free(): Thread[] {
    return [...this.#pool].filter((t) => t.idle);
  }

  get idle(): number {
    return this.#closing ? 0 : this.#free.length;
  }

  onIdle(callback: () => void): () => void {
    return this.#idle.add(callback);
  }

  get alive(): number {
    return [...this.#pool].filter((t) => t.ready).length;
  }

  run(batch: Batch): Promise<Float32Array> {
    const free = this.#free;
    const thread = free.find((t) => t.last === batch.key) ?? free[0];
    if (!thread) throw new Error('run called without a free engine thread');
    return thread.run(batch).then(({ logits }) => logits);
  }

  async onEveryThread(work: (run: (batch: Batch) => Promise<Ran>) => Promise<void>): Promise<void> {
    const threads = [...this.#pool].filter((t) => t.ready);
    await Promise.all(threads.map((thread) => work((batch) => thread.runInBackground(batch))));
  }

  async add(graphs: readonly Graph[]): Promise<void> {
    const keys = new Set(graphs.map((g) => g.key));
    this.#graphs = [...this.#graphs, ...graphs]; // first, so that a thread that starts meanwhile knows them
    if (this.#kept) this.#kept = new Set([...this.#kept, ...keys]);
    for (const thread of this.#pool) for (const graph of graphs) thread.send({ type: 'add', graph });
    try {
      await this.onEveryThread(async (run) => {
        for (const { key, shape, classes } of graphs) {
          // The first run loads the graph and reads its weights into memory.
          const { logits } = await run({ key, size: 1, images: new ArrayBuffer(shape.reduce((a, b) => a * b)) });
          if (logits.length !== classes) throw new Error(`${key} gives ${logits.length} logits for ${classes} labels`);
        }
      });
    } catch (error) {
      this.remove(keys);
      throw error instanceof DimmerError ? error.cause : error;
    }
  }

  remove(keys: ReadonlySet<string>): void {
    this.#graphs = this.#graphs.filter((g) => !keys.has(g.key));
    if (this.#kept) this.#kept = new Set([...this.#kept].filter((key) => !keys.has(key)));
    for (const thread of this.#pool) thread.send({ type: 'remove', keys });
  }

  keep(keys: ReadonlySet<string>): void {
    this.#kept = keys;
    for (const thread of this.#pool) thread.send({ type: 'keep', keys });
  }

  keeps(key: string): boolean {
    return this.#kept?.has(key) ?? true;
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#retry);
    // By message only: terminate() during a native call aborts the whole process (nodejs/node-addon-api#902).
    const threads = [...this.#pool];
    for (const thread of threads) thread.send({ type: 'close' });
    await Promise.all(threads.map((t) => t.exited));
  }

  /** Starts a thread. Resolves when it has loaded every graph; rejects if it fails to or dies before. */
  #spawn(): Promise<void> {
    const { provider, onnxThreads, worker = WORKER } = this.#options;
    const thread = new Thread(worker, { provider, onnxThreads, graphs: this.#graphs, kept: this.#kept });
    this.#pool.add(thread);
    let lastError = 'it ended by itself';
    return new Promise((resolve, reject) => {
      thread.worker.on('message', (message: FromThread) => {
        switch (message.type) {
          case 'loaded':
            thread.loaded = message.graphs;
            this.#options.onLoaded?.(Math.min(...[...this.#pool].map((t) => t.loaded)));
            return;
          case 'not-shared':
            this.#options.onThread?.('not-shared', notShared(message.key, message.message));
            return;
          case 'ready':
            thread.ready = true;
            resolve();
            break;
          case 'start-failed':
            lastError = message.message;
            thread.send({ type: 'close' });
            return;
          case 'result':
            thread.settle(message);
            break;
          case 'run-failed':
            thread.settle(engineFailed(message.message));
        }
        thread.idled(() => this.#idle.tell());
      });
      thread.worker.on('error', (error) => {
        lastError = error.message;
      });
      thread.worker.once('exit', () => {
        this.#pool.delete(thread);
        thread.die(engineFailed(`the engine thread died: ${lastError}`));
        reject(new Error(lastError));
        if (thread.ready && !this.#closing) {
          this.#options.onThread?.('died', lastError);
          this.#replace(FIRST_RETRY_MS);
        }
      });
    });
  }

  /** Replaces a dead thread. A start that fails is repeated with exponential backoff, to spare a broken host. */
  #replace(retryMs: number): void {
    this.#spawn().then(
      () => this.#options.onThread?.('replaced', ''),
      (error: Error) => {
        if (this.#closing) return;
        this.#options.onThread?.('replacement-failed', error.message);
        this.#retry = setTimeout(() => this.#replace(Math.min(retryMs * 2, LAST_RETRY_MS)), retryMs);
        this.#retry.unref();
      },
    );
  }
}

/** Text for the log about a graph that has to be loaded with its own weights. reason: the message of native code. */
function notShared(key: string, reason: string): string {
  return `the optimised graph of ${key} cannot be loaded; until a restart builds it again, this instance takes more memory for its own weights: ${reason}`;
}

/** The error for a client. message: of native code or of Node; it stays in the log, as it tells about this host. */
function engineFailed(message: string): DimmerError {
  const facts = {
    detail: 'the network could not be run on this picture; the log has why under this request id',
    expected: 'an engine thread that finishes its run',
    action: 'send the request again; a thread that has died is replaced',
  };
  return new DimmerError('engine-failed', facts, new Error(message));
}
