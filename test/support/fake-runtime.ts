import { Listeners } from '../../src/listeners.js';
import { BATCH_SIZES } from '../../src/runtime/batch-sizes.js';
import type { Batch, Graph, Ran, Runtime } from '../../src/runtime/runtime.js';

export interface FakeRun {
  readonly batch: Batch;
  /** Ends the run with these logits; default: logits for class 0. */
  finish(logits?: Float32Array): void;
  fail(error: Error): void;
}

/** CPU time of a run, in milliseconds; short, but not so short that a start would not believe what another one kept. */
const FAKE_RUN_MS = 0.05;

/** Fake engine threads: each run ends when the test calls `finish`, or at once while `held` is false. */
export class FakeRuntime implements Runtime {
  readonly device: 'cpu' | 'cuda';
  readonly batchSizes: readonly number[];
  readonly threads: number;
  readonly classes: number;
  alive: number;
  held: boolean;
  closed = false;
  /** Number of listeners for idle threads. */
  listening = 0;
  kept: ReadonlySet<string> = new Set();
  /** The runs under way. */
  readonly runs: FakeRun[] = [];
  /** Every batch whose run was begun. */
  readonly history: Batch[] = [];
  /** Every run of `onEveryThread`, as `<key> x <batch size> of <bytes of a picture> bytes`. */
  readonly onEvery: string[] = [];
  readonly #idle = new Listeners();

  constructor({ threads = 1, classes = 3, held = true, device = 'cpu' as 'cpu' | 'cuda' } = {}) {
    this.device = device;
    this.batchSizes = BATCH_SIZES[device];
    this.threads = this.alive = threads;
    this.classes = classes;
    this.held = held;
  }

  onIdle(callback: () => void): () => void {
    this.listening += 1;
    const end = this.#idle.add(callback);
    return () => {
      this.listening -= 1;
      end();
    };
  }

  /** Tells the listeners that a thread is idle, as after the replacement of a dead thread. */
  becomeIdle(): void {
    this.#idle.tell();
  }

  get idle(): number {
    return Math.max(0, this.alive - this.runs.length);
  }

  run(batch: Batch): Promise<Float32Array> {
    if (this.idle === 0) throw new Error('run called without a free engine thread');
    this.history.push(batch);
    const answer = this.#answer(batch.size);
    if (!this.held) return Promise.resolve(answer);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        const place = this.runs.indexOf(run);
        if (place < 0) throw new Error('this run has ended already');
        this.runs.splice(place, 1);
        settle();
        this.#idle.tell();
      };
      const run: FakeRun = {
        batch,
        finish: (logits = answer) => end(() => resolve(logits)),
        fail: (error) => end(() => reject(error)),
      };
      this.runs.push(run);
    });
  }

  async onEveryThread(work: (run: (batch: Batch) => Promise<Ran>) => Promise<void>): Promise<void> {
    await work(async ({ key, size, images }) => {
      this.onEvery.push(`${key} x ${size} of ${images.byteLength / size} bytes`);
      return { logits: this.#answer(size), cpuMs: FAKE_RUN_MS };
    });
  }

  /** Logits for class 0. */
  #answer(size: number): Float32Array {
    return Float32Array.from({ length: size * this.classes }, (_, i) => (i % this.classes ? 0 : 4));
  }

  /** Keys of the graphs that were added and not removed. */
  readonly added = new Set<string>();

  async add(graphs: readonly Graph[]): Promise<void> {
    for (const { key } of graphs) this.added.add(key);
  }

  remove(keys: ReadonlySet<string>): void {
    for (const key of keys) this.added.delete(key);
  }

  keep(keys: ReadonlySet<string>): void {
    this.kept = keys;
  }

  keeps(key: string): boolean {
    return this.kept.size === 0 || this.kept.has(key);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
