/**
 * Decoding in processes of its own, each with one picture at a time: a decode cannot be cancelled, but its process can be
 * ended, and what hostile bytes do to libvips they do to nobody else. Bounds the time and the memory of decoding.
 */
import { DimmerError } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import type { Reply } from './messages.js';
import { type DecodingProcess, ForkedProcess } from './process.js';

/** Memory that a decode may take unasked: enough for a photograph of 10 megapixels of any kind. */
export const USUAL_BYTES = 64 * 1024 * 1024;
/**
 * A decode that has taken so long gives its place to another one and goes on behind everything else. Larger than almost
 * every photograph takes on busy CPUs; the larger, the longer a few pictures hold up all others.
 */
const SLOW_MS = 1_000;
/** How long the decode of a picture that nobody waits for any more may go on: about what a new process costs. */
const UNWANTED_MS = 250;
/** A process that cannot start is tried again, ever more slowly, so that a broken host is not kept busy. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

export interface DecoderOptions {
  /** width x height of one picture, at most. */
  readonly maxPixels: number;
  /** Memory that pictures which need more than USUAL_BYTES may take together. */
  readonly maxBytes: number;
  /** A decode that takes longer is given up. */
  readonly timeoutMs: number;
  /** Long decodes at once; one short one besides. */
  readonly cpus: number;
  readonly clock: { now(): number; after(ms: number, callback: () => void): () => void };
  readonly onProcess?: (event: 'died' | 'given-up' | 'cannot-start', message: string) => void;
  readonly start?: () => DecodingProcess;
}

export interface DecodeOptions {
  /** Expected to take long: such ones leave a place to others. */
  readonly long: boolean;
  /** Aborted when nobody waits for the picture any more. */
  readonly signal: AbortSignal;
}

export interface Decoded {
  /** uint8 RGB [crop, crop, 3] */
  readonly pixels: Uint8Array;
  /** From handing the picture to a process to having its pixels. */
  readonly ms: number;
}

interface Job {
  readonly bytes: Uint8Array;
  readonly rule: ResizeRule;
  readonly queuedMs: number;
  long: boolean;
  /** Memory beyond USUAL_BYTES: all of it, or 0. */
  largeBytes: number;
  /** Processes that ended while they decoded it. */
  deaths: number;
  /** Whether its promise is settled: then nobody waits for it. */
  settled: boolean;
  resolve(decoded: Decoded): void;
  reject(error: Error): void;
}

interface Run {
  readonly job: Job;
  readonly process: DecodingProcess;
  readonly startMs: number;
  slow: boolean;
  cancelTimer: () => void;
}

export class Decoder {
  readonly #options: DecoderOptions;
  /** How many are decoded at once, slow ones not counted: one more than CPUs, so that none waits for the next picture. */
  readonly most: number;
  /** At present; lower while decoded pictures pile up. */
  #limit: number;
  readonly #idle: DecodingProcess[] = [];
  readonly #all = new Set<DecodingProcess>();
  #starting = 0;
  readonly #runs = new Set<Run>();
  /** Ended by us, and not yet gone. */
  readonly #unwanted = new WeakSet<DecodingProcess>();
  #queue: Job[] = [];
  #cpuMsOfEnded = 0;
  #lastEndMs: number;
  #retryMs = FIRST_RETRY_MS;
  #closing = false;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.most = this.#limit = options.cpus + 1;
    this.#lastEndMs = options.clock.now();
  }

  /** Starts every process. Raises Error if none can be started. */
  async start(): Promise<void> {
    const starts = await Promise.allSettled(Array.from({ length: this.most }, () => this.#startProcess()));
    const failed = starts.find((s) => s.status === 'rejected');
    if (failed) throw failed.reason;
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
        queuedMs: this.#options.clock.now(),
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
    await Promise.all([...this.#all].map((process) => process.ask({ type: 'warm', rule })));
  }

  /** A JPEG of noise. Nothing else may be under way. */
  async sample(width: number, height: number): Promise<Uint8Array> {
    const [process] = this.#all;
    const reply = await process?.ask({ type: 'sample', width, height });
    if (reply?.type !== 'bytes') throw new Error('no sample could be made');
    return reply.bytes;
  }

  /** How many pictures may be decoded at once, from 1 to `most`. */
  set limit(limit: number) {
    this.#limit = limit;
    this.#next();
  }

  /** ms of one CPU that all processes have used, ended ones included. */
  get cpuMs(): number {
    return [...this.#all].reduce((sum, p) => sum + p.cpuMs, this.#cpuMsOfEnded);
  }

  /** Processes that take pictures. */
  get alive(): number {
    return this.#all.size - this.#starting;
  }

  /** ms for which pictures have waited and none was finished; 0 if none waits. */
  get stuckMs(): number {
    const first = this.#queue[0];
    return first ? this.#options.clock.now() - Math.max(first.queuedMs, this.#lastEndMs) : 0;
  }

  /** Ends all processes; nothing may be under way that anybody waits for. */
  async close(): Promise<void> {
    this.#closing = true;
    const [idle, all] = [new Set(this.#idle), [...this.#all]];
    for (const process of all) if (idle.has(process)) process.close();
    for (const process of all) if (!idle.has(process)) process.kill();
    const cancel = this.#options.clock.after(SLOW_MS, () => {
      for (const process of this.#all) process.kill();
    });
    await Promise.all(all.map((p) => p.ended));
    cancel();
  }

  #next(): void {
    for (;;) {
      const process = this.#idle.at(-1);
      if (!process || this.#running.length >= this.#limit) return;
      const place = this.#queue.findIndex((job) => this.#mayStart(job));
      if (place < 0) return;
      const [job] = this.#queue.splice(place, 1) as [Job];
      this.#idle.pop();
      void this.#run(job, process);
    }
  }

  /** Those that hold a place. */
  get #running(): Run[] {
    return [...this.#runs].filter((r) => !r.slow);
  }

  /** Somebody's photographs must not hold up everybody's thumbnails. */
  #mayStart({ long, largeBytes }: Job): boolean {
    if (long && this.#running.filter((r) => r.job.long).length >= this.#options.cpus) return false;
    const taken = [...this.#runs].reduce((sum, r) => sum + r.job.largeBytes, 0);
    return largeBytes === 0 || taken + largeBytes <= this.#options.maxBytes;
  }

  async #run(job: Job, process: DecodingProcess): Promise<void> {
    const { clock } = this.#options;
    const run: Run = { job, process, startMs: clock.now(), slow: false, cancelTimer: () => {} };
    this.#runs.add(run);
    run.cancelTimer = clock.after(SLOW_MS, () => this.#turnSlow(run));
    const { bytes, rule, largeBytes } = job;
    const died = process.ended.then((how): Reply => ({ type: 'failed', message: how }));
    const reply = await Promise.race([
      process.ask({ type: 'decode', bytes, rule, memoryBytes: Math.max(USUAL_BYTES, largeBytes) }),
      died,
    ]);
    run.cancelTimer();
    this.#runs.delete(run);
    this.#lastEndMs = clock.now();
    if (this.#all.has(process)) {
      this.#settle(run, reply);
      // One that was slow has been replaced.
      if (this.#all.size > this.most + this.#slow.length) process.close();
      else this.#idle.push(process);
    } else this.#retry(job);
    this.#next();
  }

  get #slow(): Run[] {
    return [...this.#runs].filter((r) => r.slow);
  }

  #settle({ job, startMs }: Run, reply: Reply): void {
    switch (reply.type) {
      case 'bytes':
        return job.resolve({ pixels: reply.bytes, ms: this.#options.clock.now() - startMs });
      case 'needs-memory': {
        if (job.settled) return;
        if (reply.memoryBytes > this.#options.maxBytes) {
          return job.reject(needsTooMuch(reply.memoryBytes, this.#options.maxBytes));
        }
        job.largeBytes = reply.memoryBytes;
        job.long = true;
        this.#queue.unshift(job);
        return;
      }
      case 'refused':
        return job.reject(new DimmerError(reply.code, reply.facts));
      case 'failed':
        return job.reject(new Error(reply.message));
    }
  }

  /** Its process has ended under it. The cause may be another one (out of memory, an operator), so it is tried once more. */
  #retry(job: Job): void {
    if (job.settled) return;
    job.deaths += 1;
    if (job.deaths > 1 || this.#closing) return job.reject(endsItsProcess());
    this.#queue.unshift(job);
  }

  #leave(job: Job, reason: Error): void {
    this.#queue = this.#queue.filter((j) => j !== job);
    job.reject(reason);
    for (const run of this.#runs) {
      if (run.job !== job) continue;
      run.cancelTimer();
      run.cancelTimer = this.#options.clock.after(UNWANTED_MS, () => this.#kill(run.process));
    }
  }

  /** Its place goes to another one, in a process that is started for that. There are as many slow ones as places. */
  #turnSlow(run: Run): void {
    const { clock, timeoutMs } = this.#options;
    run.slow = true;
    run.process.yieldCpu();
    run.cancelTimer = clock.after(Math.max(0, timeoutMs - SLOW_MS), () => {
      this.#giveUp(run, tookTooLong(timeoutMs));
    });
    const [longest, ...others] = this.#slow;
    if (longest && others.length >= this.most) this.#giveUp(longest, tooManySlow(clock.now() - longest.startMs));
    if (this.#all.size < this.most + this.#slow.length) this.#startAnother();
    this.#next();
  }

  #giveUp(run: Run, error: DimmerError): void {
    run.cancelTimer();
    run.job.reject(error);
    this.#options.onProcess?.('given-up', error.message);
    this.#kill(run.process);
  }

  #kill(process: DecodingProcess): void {
    this.#unwanted.add(process);
    process.kill();
  }

  async #startProcess(): Promise<void> {
    const process = (this.#options.start ?? (() => new ForkedProcess({ maxPixels: this.#options.maxPixels })))();
    this.#all.add(process);
    this.#starting += 1;
    void process.ended.then((how) => this.#hasEnded(process, how));
    try {
      await process.ready;
      this.#idle.push(process);
      this.#retryMs = FIRST_RETRY_MS;
    } finally {
      this.#starting -= 1;
    }
    this.#next();
  }

  #startAnother(): void {
    this.#startProcess().catch((error: Error) => {
      if (this.#closing) return;
      this.#options.onProcess?.('cannot-start', error.message);
      this.#options.clock.after(this.#retryMs, () => this.#fillUp());
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    });
  }

  #fillUp(): void {
    if (!this.#closing && this.#all.size < this.most + this.#slow.length) this.#startAnother();
  }

  #hasEnded(process: DecodingProcess, how: string): void {
    this.#all.delete(process);
    this.#cpuMsOfEnded += process.cpuMs;
    const place = this.#idle.indexOf(process);
    if (place >= 0) this.#idle.splice(place, 1);
    const run = [...this.#runs].find((r) => r.process === process);
    if (run) this.#runs.delete(run);
    if (this.#closing || (place < 0 && !run)) return; // one that never was ready is started anew by `#startAnother`
    if (!this.#unwanted.has(process)) this.#options.onProcess?.('died', how);
    this.#fillUp();
  }
}

function needsTooMuch(bytes: number, limit: number): DimmerError {
  const mb = (n: number) => `${Math.ceil(n / 1024 / 1024)} MiB`;
  return new DimmerError('image-too-large', {
    detail: `decoding this picture can take ${mb(bytes)} of memory`,
    expected: `at most ${mb(limit)} (MAX_DECODE_BYTES)`,
    action: 'make it smaller before sending, or save it as a baseline JPEG, which takes the least',
  });
}

function tookTooLong(ms: number): DimmerError {
  return new DimmerError('invalid-image', {
    detail: `decoding took more than ${ms} ms and was given up`,
    expected: 'a picture that is decoded within DECODE_TIMEOUT_MS',
    action: 'save it again, smaller or as a baseline JPEG',
  });
}

function tooManySlow(ms: number): DimmerError {
  return new DimmerError('overloaded', {
    detail: `decoding had taken ${Math.round(ms)} ms when too many others took as long, and was given up`,
    expected: 'fewer pictures at once that take long to decode',
    action: 'try again later, or save it smaller or as a baseline JPEG',
    retryAfterS: 1,
  });
}

function endsItsProcess(): DimmerError {
  return new DimmerError('invalid-image', {
    detail: 'decoding this picture ended the decoding process, twice',
    expected: 'a picture that the decoder survives',
    action: 'check that the file opens in a viewer and save it again',
  });
}
