/** One engine thread as the pool sees it: its current run, and the background runs that wait for it. */
import { Worker } from 'node:worker_threads';
import type { ThreadOptions, ToThread } from './messages.js';
import type { Batch, Ran } from './runtime.js';

/**
 * Share of a thread's time for background runs while other runs are wanted. It is small, because the plan does not
 * foresee background runs. With a tenth of the time, one run of 48 instances of 10 ms each takes about five seconds.
 */
const BACKGROUND_SHARE = 0.1;

interface Pending {
  resolve(ran: Ran): void;
  reject(error: Error): void;
}

export class Thread {
  readonly exited: Promise<void>;
  ready = false;
  /** How many graphs the thread has loaded during its start. */
  loaded = 0;
  /** Key of the graph that the thread ran last. */
  last: string | undefined;
  readonly worker: Worker;
  #pending: Pending | undefined;
  /** Background runs that have not begun, in order. */
  readonly #background: (Pending & { readonly batch: Batch })[] = [];
  /** When the background run under way began, by performance.now(); undefined if none is under way. */
  #backgroundSinceMs: number | undefined;
  /** While other runs are wanted, no background run begins before this time, by performance.now(). */
  #backgroundFromMs = 0;
  /** Why the thread has ended. */
  #dead: Error | undefined;

  /** url: script of the thread. */
  constructor(url: URL, options: ThreadOptions) {
    this.worker = new Worker(url, { workerData: options });
    this.exited = new Promise((resolve) => this.worker.once('exit', () => resolve()));
  }

  /** Whether a run could begin now. */
  get idle(): boolean {
    return this.ready && !this.#pending;
  }

  send(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  /** Runs a batch on the thread, which is idle. */
  run(batch: Batch): Promise<Ran> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.last = batch.key;
      this.send({ type: 'run', ...batch }, [batch.images]);
    });
  }

  /** Runs a batch when the thread is idle and other runs leave time for it. Rejects if the thread dies before. */
  runInBackground(batch: Batch): Promise<Ran> {
    return new Promise((resolve, reject) => {
      if (this.#dead) return reject(this.#dead);
      this.#background.push({ batch, resolve, reject });
      if (this.idle) this.#beginBackground();
    });
  }

  /** Ends the current run with its result or an error. */
  settle(outcome: Ran | Error): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (this.#backgroundSinceMs !== undefined) {
      const nowMs = performance.now();
      this.#backgroundFromMs = nowMs + (nowMs - this.#backgroundSinceMs) * (1 / BACKGROUND_SHARE - 1);
      this.#backgroundSinceMs = undefined;
    }
    if (outcome instanceof Error) pending?.reject(outcome);
    else pending?.resolve(outcome);
  }

  /**
   * The thread has become idle: begins a background run if one is due, or if nobody else wants the thread. offer: offers
   * it to those who want it.
   */
  idled(offer: () => void): void {
    if (performance.now() >= this.#backgroundFromMs) this.#beginBackground();
    offer();
    if (this.idle) this.#beginBackground();
  }

  /** The thread has ended: its runs, begun or not, end with this error. */
  die(error: Error): void {
    this.#dead = error;
    this.settle(error);
    for (const { reject } of this.#background.splice(0)) reject(error);
  }

  #beginBackground(): void {
    const next = this.#background.shift();
    if (!next) return;
    this.#backgroundSinceMs = performance.now();
    this.run(next.batch).then(next.resolve, next.reject);
  }
}
