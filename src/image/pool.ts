/** The pool of decoding processes: keeps a wanted number of them alive and replaces those that die. */
import type { DecodingProcess } from './process.js';

/**
 * Delay before a process that failed to start is started again; doubled each time up to the last, to spare a broken
 * host.
 */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
/** How long idle processes have to end by themselves before they are killed. */
const CLOSE_MS = 1_000;

export type ProcessEvents = (event: 'died' | 'given-up' | 'cannot-start', message: string) => void;

export interface PoolOptions {
  readonly clock: { now(): number; after(ms: number, callback: () => void): () => void };
  readonly start: () => DecodingProcess;
  readonly onProcess?: ProcessEvents | undefined;
  /** Called when a process has become idle. */
  readonly onIdle: () => void;
}

export class ProcessPool {
  readonly #options: PoolOptions;
  readonly #idle: DecodingProcess[] = [];
  readonly #all = new Set<DecodingProcess>();
  /** Processes that `kill` was called for: their end is not reported as a death. */
  readonly #unwanted = new WeakSet<DecodingProcess>();
  /** Processes that were told to end because there are too many, and have not ended yet. */
  readonly #leaving = new Set<DecodingProcess>();
  #wanted = 0;
  #starting = 0;
  #cpuMsOfEnded = 0;
  #retryMs = FIRST_RETRY_MS;
  #closing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Starts this number of processes. Raises Error if one cannot be started. */
  async start(count: number): Promise<void> {
    this.#wanted = count;
    const starts = await Promise.allSettled(Array.from({ length: count }, () => this.#start()));
    const failed = starts.find((s) => s.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** How many processes there should be from now on. Surplus ones end when they are given back. */
  set wanted(count: number) {
    this.#wanted = count;
    this.#fillUp();
  }

  get all(): readonly DecodingProcess[] {
    return [...this.#all];
  }

  /** How many processes are started and ready. */
  get alive(): number {
    return this.#all.size - this.#starting;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** CPU ms used by all processes, ended ones included. */
  get cpuMs(): number {
    return [...this.#all].reduce((sum, p) => sum + p.cpuMs, this.#cpuMsOfEnded);
  }

  /** Takes an idle process out; the caller has checked that there is one, and returns it by giveBack. */
  take(): DecodingProcess {
    return this.#idle.pop() as DecodingProcess;
  }

  /** Puts a process back. Returns false if it has died meanwhile. */
  giveBack(process: DecodingProcess): boolean {
    if (!this.#all.has(process)) return false;
    if (this.#staying > this.#wanted) this.#leave(process);
    else this.#idle.push(process);
    return true;
  }

  /** How many processes there are, those that were told to end not counted. */
  get #staying(): number {
    return this.#all.size - this.#leaving.size;
  }

  #leave(process: DecodingProcess): void {
    this.#leaving.add(process);
    process.close();
    const cancel = this.#options.clock.after(CLOSE_MS, () => process.kill());
    void process.ended.then(cancel);
  }

  /** Kills a process whose result is no longer needed. */
  kill(process: DecodingProcess): void {
    this.#unwanted.add(process);
    process.kill();
  }

  /** Ends all processes, busy ones at once, and resolves when they are gone. */
  async close(): Promise<void> {
    this.#closing = true;
    const [idle, all] = [new Set(this.#idle), this.all];
    for (const process of all) idle.has(process) ? process.close() : process.kill();
    const cancel = this.#options.clock.after(CLOSE_MS, () => {
      for (const process of this.#all) process.kill();
    });
    await Promise.all(all.map((p) => p.ended));
    cancel();
  }

  async #start(): Promise<void> {
    const process = this.#options.start();
    let ready = false;
    this.#all.add(process);
    this.#starting += 1;
    void process.ended.then((how) => this.#hasEnded(process, how, ready));
    try {
      await process.ready;
      ready = true;
      this.#idle.push(process);
      this.#retryMs = FIRST_RETRY_MS;
    } finally {
      this.#starting -= 1;
    }
    this.#options.onIdle();
  }

  /** Starts a process if there are fewer than wanted. */
  #fillUp(): void {
    if (this.#closing || this.#staying >= this.#wanted) return;
    const { clock, onProcess } = this.#options;
    this.#start().catch((error: Error) => {
      if (this.#closing) return;
      onProcess?.('cannot-start', error.message);
      clock.after(this.#retryMs, () => this.#fillUp());
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    });
  }

  #hasEnded(process: DecodingProcess, how: string, wasReady: boolean): void {
    this.#all.delete(process);
    this.#cpuMsOfEnded += process.cpuMs;
    const place = this.#idle.indexOf(process);
    if (place >= 0) this.#idle.splice(place, 1);
    const wasLeaving = this.#leaving.delete(process);
    if (this.#closing || wasLeaving || !wasReady) return; // a failed start is repeated by `#fillUp`
    if (!this.#unwanted.has(process)) this.#options.onProcess?.('died', how);
    this.#fillUp();
  }
}
