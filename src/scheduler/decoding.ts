/** Decoding as a stage of its own: how long a picture will take, and how much is ahead of the next. */
import type { ResizeRule } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import type { Decoded, Decoder } from '../image/decoder.js';
import { MAX_BATCH } from '../policy/picture.js';
import { Recent } from './recent.js';

/** A decode that takes longer than this is a photograph: several hold up every thumbnail behind them. */
const LONG_MS = 10;

/** Pictures have waited so long to be decoded and none was finished: no other will be for now. */
const STUCK_MS = 5_000;

export interface ToDecode {
  readonly image: Uint8Array;
  /** Its name: pictures of one family are resized alike. */
  readonly family: string;
  readonly resize: ResizeRule;
  /** Aborted when nobody waits for the picture any more. */
  readonly signal: AbortSignal;
}

export class DecodeStage {
  readonly #decoder: Pick<Decoder, 'decode' | 'limit' | 'most' | 'stuckMs' | 'alive'>;
  readonly #now: () => number;
  readonly #cpus: number;
  readonly #times = new Map<string, Recent>();
  #pendingMs = 0;

  /** cpus: that decoding may use. now: ms of a monotonic clock. */
  constructor(
    decoder: Pick<Decoder, 'decode' | 'limit' | 'most' | 'stuckMs' | 'alive'>,
    cpus: number,
    now: () => number,
  ) {
    this.#decoder = decoder;
    this.#cpus = cpus;
    this.#now = now;
  }

  /**
   * How many decoded pictures wait for so many engine threads. With half a full batch for each, one more at a time is
   * enough: CPU goes to the pictures that are due first, and not to decoding those that came last.
   */
  ahead(waiting: number, threads: number): void {
    this.#decoder.limit = waiting >= (threads * MAX_BATCH) / 2 ? 1 : this.#decoder.most;
  }

  /** Whether pictures wait and none is finished, or nothing could decode them. */
  get stuck(): boolean {
    return this.#decoder.alive === 0 || this.#decoder.stuckMs > STUCK_MS;
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
    return this.#pendingMs / this.#cpus;
  }

  /** As `decode` of the decoder: with the same errors. */
  async run({ image, family, resize, signal }: ToDecode): Promise<Decoded> {
    const times = this.#like(image, family);
    const expectedMs = times.median ?? 0;
    this.#pendingMs += expectedMs;
    try {
      const decoded = await this.#decoder.decode(image, resize, { long: expectedMs > LONG_MS, signal });
      times.add(decoded.ms);
      return decoded;
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
