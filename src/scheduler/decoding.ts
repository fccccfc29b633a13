/** Decoding as a stage of its own: how long a picture will take, and how much is ahead of the next. */
import type { ResizeRule } from '../family/instance.js';
import type { Decoded, Decoder } from '../image/decoder.js';
import { type Peek, peek } from '../image/peek.js';
import type { LatencyModel, Times } from '../latency/model.js';
import { MAX_BATCH } from '../policy/picture.js';

/** A decode that takes longer than this is a photograph: several hold up every thumbnail behind them. */
const LONG_MS = 10;

/** Pictures have waited so long to be decoded and none was finished: no other will be for now. */
const STUCK_MS = 5_000;

type DecodeModel = Pick<LatencyModel, 'decode' | 'decoded'>;

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
  readonly #cpus: number;
  readonly #model: DecodeModel;
  readonly #maxPixels: number;
  #pendingMs = 0;

  /** cpus: that decoding may use. maxPixels: of a picture; one that has more is refused by its header. */
  constructor(
    decoder: Pick<Decoder, 'decode' | 'limit' | 'most' | 'stuckMs' | 'alive'>,
    cpus: number,
    model: DecodeModel,
    maxPixels: number,
  ) {
    this.#decoder = decoder;
    this.#cpus = cpus;
    this.#model = model;
    this.#maxPixels = maxPixels;
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

  /** ms that this picture should take, by what its header says. */
  expectMs(image: Uint8Array, family: string): number {
    return this.#times(this.#peek(image), family).meanMs;
  }

  /** ms that it hardly exceeds on an idle host. */
  leastMs(image: Uint8Array, family: string): number {
    return this.#times(this.#peek(image), family).idleMs;
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
    const said = this.#peek(image);
    const expectedMs = this.#times(said, family).meanMs;
    this.#pendingMs += expectedMs;
    try {
      const decoded = await this.#decoder.decode(image, resize, { long: expectedMs > LONG_MS, signal });
      this.#model.decoded(family, said.kind, said.megapixels, decoded.ms);
      return decoded;
    } finally {
      this.#pendingMs -= expectedMs;
    }
  }

  /** A header that says more than is taken is all that is read of its file: nobody else waits for so many pixels. */
  #peek(image: Uint8Array): Peek {
    const { kind, megapixels } = peek(image);
    return { kind, megapixels: megapixels * 1e6 > this.#maxPixels ? 0 : megapixels };
  }

  #times({ kind, megapixels }: Peek, family: string): Times {
    return this.#model.decode(family, kind, megapixels);
  }
}
