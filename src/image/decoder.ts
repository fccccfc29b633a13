/**
 * Decoding in processes of its own, each with one picture at a time: a decode cannot be cancelled, but its process can be
 * ended, and what hostile bytes do to libvips they do to nobody else. Bounds the time and the memory of decoding.
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

/** Memory that a decode may take unasked: enough for a photograph of 10 megapixels of any kind. */
export const USUAL_BYTES = 64 * 1024 * 1024;
/**
 * A decode that has taken so long gives its place to another one and goes on behind everything else. Larger than almost
 * every photograph takes on busy CPUs; the larger, the longer a few pictures hold up all others.
 */
const SLOW_MS = 1_000;
/** The same of one that is known as long, which leaves a place to others anyway: 50 megapixels take 2 s of CPU. */
const SLOW_LONG_MS = 3_000;
/** Processes that are killed together, as by a host without memory, are all gone by then. */
const RETRY_MS = 100;
/** How long the decode of a picture that nobody waits for any more may go on: about what a new process costs. */
const UNWANTED_MS = 250;
export interface DecoderOptions {
  /** width x height of one picture, at most. */
  readonly maxPixels: number;
  /** Memory that pictures which need more than USUAL_BYTES may take together. */
  readonly maxBytes: number;
  /** A decode that takes longer is given up. */
  readonly timeoutMs: number;
  /** Long decodes at once; one short one besides. */
  readonly cpus: number;
  readonly clock: PoolOptions['clock'];
  readonly onProcess?: ProcessEvents;
  readonly start?: () => DecodingProcess;
}

const slowMs = ({ long }: Job) => (long ? SLOW_LONG_MS : SLOW_MS);

export class Decoder {
  readonly #options: DecoderOptions;
  /** How many are decoded at once, slow ones not counted: one more than CPUs, so that none waits for the next picture. */
  readonly most: number;
  readonly #pool: ProcessPool;
  readonly #runs = new Set<Run>();
  readonly #idle = new Listeners();
  #queue: Job[] = [];
  /** When the last place was taken, or a picture finished since; undefined while a place is free. */
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
   * uint8 RGB pixels [crop, crop, 3], once it is this picture's turn. Raises DimmerError unsupported-media,
   * image-too-large, invalid-image (also for one that takes too long or that ends its process) or overloaded; the signal's
   * reason at once if that is aborted.
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

  /** Decodes a generated picture in every process, as the first decode loads libvips. Nothing else may be under way. */
  async warm(rule: ResizeRule): Promise<void> {
    await Promise.all(this.#pool.all.map((process) => process.ask({ type: 'warm', rule })));
  }

  /** A picture of noise. Nothing else may be under way. */
  async sample(width: number, height: number, kind: Kind = 'JPEG'): Promise<Uint8Array> {
    const [process] = this.#pool.all;
    const reply = await process?.ask({ type: 'sample', width, height, kind });
    if (reply?.type !== 'bytes') throw new Error('no sample could be made');
    return reply.bytes;
  }

  /** Calls back whenever another picture may have a place; returns what ends that. */
  onIdle(callback: () => void): () => void {
    return this.#idle.add(callback);
  }

  /** How many pictures would be begun at once: any, of which long ones at most. */
  get places(): { readonly short: number; readonly long: number } {
    const waiting = this.#queue.filter((job) => this.#mayStart(job)).length;
    const short = Math.max(0, Math.min(this.#pool.idle, this.most - this.#running.length) - waiting);
    return { short, long: Math.min(short, this.#longPlaces) };
  }

  /** Somebody's photographs must not hold up everybody's thumbnails. */
  get #longPlaces(): number {
    return Math.max(0, this.#options.cpus - this.#running.filter((r) => r.job.long).length);
  }

  /** ms of one CPU that all processes have used, ended ones included. */
  get cpuMs(): number {
    return this.#pool.cpuMs;
  }

  /** Processes that take pictures. */
  get alive(): number {
    return this.#pool.alive;
  }

  /** ms for which no place was free and no picture was finished; 0 while one is. */
  get stuckMs(): number {
    return this.#fullSinceMs === undefined ? 0 : this.#options.clock.now() - this.#fullSinceMs;
  }

  /** Ends all processes; nothing may be under way that anybody waits for. */
  close(): Promise<void> {
    for (const job of [...this.#queue.splice(0), ...[...this.#runs].map((r) => r.job)]) {
      job.reject(new Error('the decoder was closed'));
    }
    return this.#pool.close();
  }

  #next(): void {
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

  /** Those that hold a place. */
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

  /** Those that have given their place to others. */
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

  /** Its process has ended under it. The cause may be another one (out of memory, an operator), so it is tried once more. */
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

  #leave(job: Job, reason: Error): void {
    this.#queue = this.#queue.filter((j) => j !== job);
    job.reject(reason);
    for (const run of this.#runs) {
      if (run.job !== job) continue;
      run.cancelTimer();
      run.cancelTimer = this.#options.clock.after(UNWANTED_MS, () => this.#pool.kill(run.process));
    }
  }

  /** Its place goes to another one, in a process that is started for that. There are as many slow ones as places. */
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

  #giveUp(run: Run, error: DimmerError): void {
    run.cancelTimer();
    run.job.reject(error);
    this.#runs.delete(run);
    this.#pool.wanted = this.most + this.#slow.length;
    this.#options.onProcess?.('given-up', error.message);
    this.#pool.kill(run.process);
  }
}
