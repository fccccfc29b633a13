/** Decoding as a stage of its own: how many at once, how long one will take, and how much is ahead of the next. */
import pLimit from 'p-limit';
import { getOrInsert } from '../get-or-insert.js';
import { MAX_BATCH } from '../policy/picture.js';
import { Recent } from './recent.js';

/** A decode that takes longer than this is a photograph: several hold up every thumbnail behind them. */
const LONG_MS = 10;

/** What libuv makes if UV_THREADPOOL_SIZE does not say. */
const LIBUV_THREADS = 4;

/**
 * What to tell the operator if libuv has too few threads for so many decodes; its pool is made before any of our code
 * runs, so its size can only come from the environment. size: UV_THREADPOOL_SIZE.
 */
export function threadPoolAdvice(decodes: number, size: string | undefined): string | undefined {
  const threads = Number(size ?? LIBUV_THREADS);
  if (threads >= decodes) return undefined;
  return `libuv has ${threads} threads, and ${decodes} pictures could be decoded at once; set UV_THREADPOOL_SIZE=${decodes} or more`;
}

export class DecodeStage {
  readonly #now: () => number;
  readonly #cpus: number;
  readonly #all: ReturnType<typeof pLimit>;
  readonly #long: ReturnType<typeof pLimit>;
  readonly #times = new Map<string, Recent>();
  #pendingMs = 0;

  /** How many decode at once, at most; each on a thread of libuv's pool. */
  readonly most: number;

  /** cpus: for how many long decodes at once, and one short one besides. now: ms of a monotonic clock. */
  constructor(cpus: number, now: () => number) {
    this.#now = now;
    this.#cpus = cpus;
    this.most = cpus + 1;
    this.#all = pLimit(this.most);
    this.#long = pLimit(cpus);
  }

  /**
   * How many decoded pictures wait for so many engine threads. With half a full batch for each, one more at a time is
   * enough: CPU goes to the pictures that are due first, and not to decoding those that came last.
   */
  ahead(waiting: number, threads: number): void {
    this.#all.concurrency = waiting >= (threads * MAX_BATCH) / 2 ? 1 : this.most;
  }

  /** ms that this picture should take, by those about as large when encoded; 0 if there was none like it lately. */
  expectMs(image: Uint8Array, family: string): number {
    return this.#like(image, family).median ?? 0;
  }

  /** ms that it takes at least, as on an idle host: the shortest of those; 0 if there was none like it lately. */
  leastMs(image: Uint8Array, family: string): number {
    return this.#like(image, family).fresh[0] ?? 0;
  }

  /** ms until pictures of these times are decoded, if nothing else is. */
  together(decodeMs: readonly number[]): number {
    return Math.max(...decodeMs, decodeMs.reduce((a, b) => a + b, 0) / this.#cpus);
  }

  /** ms until what was begun or waits for its turn is decoded. */
  get backlogMs(): number {
    return this.#pendingMs / this.most;
  }

  /**
   * Calls `decode` when it is this picture's turn. Returns what that gives and the ms it took. Raises what it raises.
   * Long ones leave a place for short ones: somebody's photographs must not hold up everybody's thumbnails.
   * `decode` may use the bytes up.
   */
  async run<T>(image: Uint8Array, family: string, decode: () => Promise<T>): Promise<[T, number]> {
    const times = this.#like(image, family);
    const expectedMs = times.median ?? 0;
    const timed = async (): Promise<[T, number]> => {
      const beganMs = this.#now();
      return [await decode(), this.#now() - beganMs];
    };
    this.#pendingMs += expectedMs;
    try {
      const inTurn = () => this.#all(timed);
      const [decoded, ms] = await (expectedMs > LONG_MS ? this.#long(inTurn) : inTurn());
      times.add(ms);
      return [decoded, ms];
    } finally {
      this.#pendingMs -= expectedMs;
    }
  }

  /** Somebody's large photographs say nothing about a thumbnail. */
  #like(image: Uint8Array, family: string): Recent {
    const key = `${family} ${Math.ceil(Math.log2(image.length + 1))}`;
    return getOrInsert(this.#times, key, () => new Recent(this.#now));
  }
}
