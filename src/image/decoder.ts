/**
 * Decodes pictures in child processes, one picture at a time in each, and limits time and memory. A decode cannot be
 * cancelled, but its process can be killed; and hostile bytes that crash libvips crash a child only.
 */
import { DimmerError } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import { Listeners } from '../listeners.js';
import type { Kind } from './files/first-picture.js';
import type { Decoded, DecodeOptions, Job, Run } from './jobs.js';
import type { Reply } from './messages.js';
import { type PoolOptions, type ProcessEvents, ProcessPool } from './pool.js';
import { ChildDecoder, type DecodingProcess } from './process.js';
import { endsItsProcess, needsTooMuch, tookTooLong, tooManySlow } from './refusals.js';

/**
 * Memory that any decode may take; enough for 10 megapixels of any format. Larger ones share DecoderOptions.maxBytes.
 */
export const USUAL_BYTES = 64 * 1024 * 1024;
/**
 * After this time a decode counts as slow: it frees its place for another picture and goes on at the lowest priority.
 * Almost every photograph takes less, also on busy CPUs. A larger value lets a few pictures delay all others for
 * longer.
 */
const SLOW_MS = 1_000;
/** The same limit for long decodes, which leave places to others anyway: 50 megapixels take 2 s of CPU time. */
const SLOW_LONG_MS = 3_000;
/** Delay of a second try after a process died. When a host out of memory kills several, all are gone by then. */
const RETRY_MS = 100;
/**
 * How long a decode may go on after its client is gone; killing it earlier would save less than a new process costs.
 */
const UNWANTED_MS = 250;
export interface DecoderOptions {
  /** Upper bound of width x height of a picture. */
  readonly maxPixels: number;
  /** Memory for all pictures together that need more than USUAL_BYTES. */
  readonly maxBytes: number;
  /** A decode that takes longer is stopped. */
  readonly timeoutMs: number;
  /** How many long decodes may run at once; one more place is for short ones. */
  readonly cpus: number;
  readonly clock: PoolOptions['clock'];
  readonly onProcess?: ProcessEvents;
  readonly start?: () => DecodingProcess;
}

const slowMs = ({ long }: Job) => (long ? SLOW_LONG_MS : SLOW_MS);

export class Decoder {
  readonly #options: DecoderOptions;
  /**
   * Places: how many decodes run at once, slow ones not counted. One more than CPUs, so that no CPU waits for a
   * picture.
   */
  readonly most: number;
  readonly #pool: ProcessPool;
  readonly #runs = new Set<Run>();
  readonly #idle = new Listeners();
  #queue: Job[] = [];
  /** Samples that wait for an idle process. */
  readonly #samples: { resolve(process: DecodingProcess): void; reject(error: Error): void }[] = [];
  /** Since when all places are taken and no decode has ended; undefined while a place is free. */
  #fullSinceMs: number | undefined;

  constructor(options: DecoderOptions) {
    const { clock, onProcess, start = () => new ChildDecoder() } = options;
    this.#options = options;
    this.most = options.cpus + 1;
    this.#pool = new ProcessPool({ clock, onProcess, start, onIdle: () => this.#next() });
  }

  /** Starts every process. Raises Error if one cannot be started. */
  start(): Promise<void> {
    return this.#pool.start(this.most);
  }

  /**
   * Decodes a picture when a place is free; resolves to uint8 RGB [crop, crop, 3]. Raises DimmerError
   * unsupported-media, image-too-large, invalid-image (also if it takes too long or crashes its process) or overloaded;
   * on abort, at once the signal's reason.
   */
  decode(bytes: Uint8Array, rule: ResizeRule, { long, signal }: DecodeOptions): Promise<Decoded> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const leave = () => this.#leave(job, signal.reason);
      const settle = (how: () => void) => {
        if (job.settled) return;
        job.settled = true;
        signal.removeEventListener('abort', leave);
        how();
      };
      const job: Job = {
        bytes,
        rule,
        long,
        largeBytes: 0,
        deaths: 0,
        settled: false,
        resolve: (decoded) => settle(() => resolve(decoded)),
        reject: (error) => settle(() => reject(error)),
      };
      signal.addEventListener('abort', leave);
      this.#queue.push(job);
      this.#next();
    });
  }

  /**
   * Decodes a generated picture in every process, as the first decode loads libvips. No other decode may be running.
   */
  async warm(rule: ResizeRule): Promise<void> {
    await Promise.all(this.#pool.all.map((process) => process.ask({ type: 'warm', rule })));
  }

  /** Encodes a generated picture of this size in pixels, in the next idle process. */
  async sample(width: number, height: number, kind: Kind = 'JPEG'): Promise<Uint8Array> {
    const process = await new Promise<DecodingProcess>((resolve, reject) => {
      this.#samples.push({ resolve, reject });
      this.#next();
    });
    const reply = await process.ask({ type: 'sample', width, height, kind });
    this.#pool.giveBack(process);
    this.#next();
    if (reply.type !== 'bytes') throw new Error('no sample could be made');
    return reply.bytes;
  }

  /** Calls back whenever a place may have become free; returns a function that ends the subscription. */
  onIdle(callback: () => void): () => void {
    return this.#idle.add(callback);
  }

  /** How many more pictures would be begun at once (short: of any kind), and how many of them may be long. */
  get places(): { readonly short: number; readonly long: number } {
    const waiting = this.#queue.filter((job) => this.#mayStart(job)).length;
    const short = Math.max(0, Math.min(this.#pool.idle, this.most - this.#running.length) - waiting);
    return { short, long: Math.min(short, this.#longPlaces) };
  }

  /** How many more long decodes may begin: they never take the last place, which is for thumbnails. */
  get #longPlaces(): number {
    return Math.max(0, this.#options.cpus - this.#running.filter((r) => r.job.long).length);
  }

  /** CPU ms used by all processes, ended ones included. */
  get cpuMs(): number {
    return this.#pool.cpuMs;
  }

  /** How many processes are started and ready. */
  get alive(): number {
    return this.#pool.alive;
  }

  /** For how many ms all places have been taken without a decode ending; 0 while a place is free. */
  get stuckMs(): number {
    return this.#fullSinceMs === undefined ? 0 : this.#options.clock.now() - this.#fullSinceMs;
  }

  /** Ends all processes; decodes that are waiting or running are rejected. */
  close(): Promise<void> {
    for (const job of [...this.#queue.splice(0), ...[...this.#runs].map((r) => r.job)]) {
      job.reject(new Error('the decoder was closed'));
    }
    for (const { reject } of this.#samples.splice(0)) reject(new Error('the decoder was closed'));
    return this.#pool.close();
  }

  /** Begins as many waiting decodes as there are places. */
  #next(): void {
    while (this.#pool.idle > 0 && this.#samples.length > 0) this.#samples.shift()?.resolve(this.#pool.take());
    while (this.#pool.idle > 0 && this.#running.length < this.most) {
      const place = this.#queue.findIndex((job) => this.#mayStart(job));
      if (place < 0) break;
      const [job] = this.#queue.splice(place, 1) as [Job];
      void this.#run(job, this.#pool.take());
    }
    if (this.places.short > 0) {
      this.#fullSinceMs = undefined;
      this.#idle.tell();
    } else this.#fullSinceMs ??= this.#options.clock.now();
  }

  /** Decodes that hold a place. */
  get #running(): Run[] {
    return [...this.#runs].filter((r) => !r.slow);
  }

  #mayStart({ long, largeBytes }: Job): boolean {
    if (long && this.#longPlaces === 0) return false;
    const taken = [...this.#runs].reduce((sum, r) => sum + r.job.largeBytes, 0);
    return largeBytes === 0 || taken + largeBytes <= this.#options.maxBytes;
  }

  async #run(job: Job, process: DecodingProcess): Promise<void> {
    const { clock, timeoutMs } = this.#options;
    const run: Run = { job, process, startMs: clock.now(), slow: false, cancelTimer: () => {} };
    this.#runs.add(run);
    run.cancelTimer = clock.after(Math.min(timeoutMs, slowMs(job)), () => this.#turnSlow(run));
    const { bytes, rule, largeBytes } = job;
    const memoryBytes = Math.max(USUAL_BYTES, largeBytes);
    const limits = { maxPixels: this.#options.maxPixels };
    const reply = await process.ask({ type: 'decode', bytes, rule, limits, memoryBytes, long: job.long });
    run.cancelTimer();
    this.#runs.delete(run);
    this.#pool.wanted = this.most + this.#slow.length;
    this.#fullSinceMs = undefined;
    if (this.#pool.giveBack(process)) this.#settle(run, reply);
    else this.#retry(job);
    this.#next();
  }

  /** Decodes that have given up their place, longest first. */
  get #slow(): Run[] {
    return [...this.#runs].filter((r) => r.slow);
  }

  #settle({ job, startMs }: Run, reply: Reply): void {
    switch (reply.type) {
      case 'bytes':
        job.resolve({ pixels: reply.bytes, ms: this.#options.clock.now() - startMs });
        return;
      case 'needs-memory': {
        if (job.settled) return;
        if (reply.memoryBytes > this.#options.maxBytes) {
          job.reject(needsTooMuch(reply.memoryBytes, this.#options.maxBytes));
          return;
        }
        job.largeBytes = reply.memoryBytes;
        job.long = true;
        this.#queue.unshift(job);
        return;
      }
      case 'takes-long':
        if (job.settled) return;
        job.long = true;
        this.#queue.unshift(job);
        return;
      case 'refused':
        job.reject(new DimmerError(reply.code, reply.facts));
        return;
      case 'failed':
        job.reject(new Error(reply.message));
    }
  }

  /**
   * Tries a picture once more after its process died, which may have had another cause (out of memory, an operator).
   */
  #retry(job: Job): void {
    if (job.settled) return;
    job.deaths += 1;
    if (job.deaths > 1) return void job.reject(endsItsProcess());
    this.#options.clock.after(RETRY_MS, () => {
      if (job.settled) return;
      this.#queue.unshift(job);
      this.#next();
    });
  }

  /** Drops a decode whose signal was aborted; a running one is killed after UNWANTED_MS. */
  #leave(job: Job, reason: Error): void {
    this.#queue = this.#queue.filter((j) => j !== job);
    job.reject(reason);
    for (const run of this.#runs) {
      if (run.job !== job) continue;
      run.cancelTimer();
      run.cancelTimer = this.#options.clock.after(UNWANTED_MS, () => this.#pool.kill(run.process));
    }
  }

  /**
   * Frees the place of a slow decode; a further process is started for it. If too many are slow, the longest is
   * stopped.
   */
  #turnSlow(run: Run): void {
    const { clock, timeoutMs } = this.#options;
    run.slow = true;
    run.process.yieldCpu();
    run.cancelTimer = clock.after(Math.max(0, timeoutMs - slowMs(run.job)), () => {
      this.#giveUp(run, tookTooLong(timeoutMs));
    });
    const [longest, ...others] = this.#slow;
    if (longest && others.length >= this.most) this.#giveUp(longest, tooManySlow(clock.now() - longest.startMs));
    this.#pool.wanted = this.most + this.#slow.length;
    this.#next();
  }

  /** Stops a decode by killing its process. */
  #giveUp(run: Run, error: DimmerError): void {
    run.cancelTimer();
    run.job.reject(error);
    this.#runs.delete(run);
    this.#pool.wanted = this.most + this.#slow.length;
    this.#options.onProcess?.('given-up', error.message);
    this.#pool.kill(run.process);
  }
}
