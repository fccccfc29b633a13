import { Listeners } from '../../src/listeners.js';
import type { Decoding } from '../../src/scheduler/pipeline.js';

export interface FakeDecode {
  readonly bytes: Uint8Array;
  readonly signal: AbortSignal;
  /** Ends the decode; the pixels are the bytes of the file. */
  finish(): void;
  fail(error: Error): void;
}

/** A fake decoder: each decode ends when the test calls `finish`, or at once while `held` is false. */
export class FakeDecoder implements Decoding {
  readonly #idle = new Listeners();
  readonly #at: () => number;
  held: boolean;
  /** Number of decodes at the same time. */
  most: number;
  /** The decodes under way, the oldest first. */
  readonly decodes: FakeDecode[] = [];
  /** The bytes of every picture whose decode was begun. */
  readonly history: Uint8Array[] = [];

  constructor({ held = false, most = 3, now = (): number => 0 } = {}) {
    this.held = held;
    this.most = most;
    this.#at = now;
  }

  get places() {
    const short = Math.max(0, this.most - this.decodes.length);
    return { short, long: Math.max(0, short - 1) };
  }

  onIdle(callback: () => void): () => void {
    return this.#idle.add(callback);
  }

  decode(bytes: Uint8Array, _rule: unknown, { signal }: { signal: AbortSignal }) {
    this.history.push(bytes);
    if (!this.held) return Promise.resolve({ pixels: bytes, ms: 0 });
    const startMs = this.#at();
    return new Promise<{ pixels: Uint8Array; ms: number }>((resolve, reject) => {
      const end = (settle: () => void) => {
        const place = this.decodes.indexOf(decode);
        if (place < 0) return;
        this.decodes.splice(place, 1);
        settle();
        this.#idle.tell();
      };
      const decode: FakeDecode = {
        bytes,
        signal,
        finish: () => end(() => resolve({ pixels: bytes, ms: this.#at() - startMs })),
        fail: (error) => end(() => reject(error)),
      };
      signal.addEventListener('abort', () => decode.fail(signal.reason));
      this.decodes.push(decode);
    });
  }
}
