/** The pictures that are admitted and not running, earliest deadline first. */
import type { ResizeRule } from '../family/instance.js';
import type { PictureKind } from '../latency/model.js';
import { byRank, type Stage, type Waiting } from '../plan/snapshot.js';
import type { Outcome } from './order.js';

export interface Picture extends Waiting {
  stage: Stage;
  bestEffort: boolean;
  readonly family: string;
  readonly resize: ResizeRule;
  readonly size: { readonly kind: PictureKind; readonly megapixels: number };
  readonly startMs: number;
  /** When it is told that it waits no longer; Infinity for one that a deadline or nothing bounds. */
  readonly giveUpMs: number;
  /** Whether it was admitted to be in time. */
  readonly promised: boolean;
  /** Encoded, until it is decoded. */
  bytes: Uint8Array | undefined;
  /** uint8 [height, width, 3], once it is decoded. */
  pixels: Uint8Array | undefined;
  decodeMs: number;
  /** Ends its decoding. */
  readonly stop: AbortController;
  /** Called once it is decoded. */
  decoded(): void;
  resolve(outcome: Outcome): void;
  reject(error: Error): void;
}

export class Queue {
  #waiting: Picture[] = [];

  get all(): readonly Picture[] {
    return this.#waiting;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** From the end: most come with the latest deadline. */
  insert(picture: Picture): void {
    const before = this.#waiting.findLastIndex((w) => byRank(w, picture) <= 0);
    this.#waiting.splice(before + 1, 0, picture);
  }

  remove(pictures: readonly Picture[]): void {
    if (pictures.length === 0) return;
    const gone = new Set(pictures);
    this.#waiting = this.#waiting.filter((w) => !gone.has(w));
  }

  has(picture: Picture): boolean {
    return this.#waiting.includes(picture);
  }

  /** When the next one expires or waits no longer: nobody else may notice. Infinity if none does. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { bestEffort, deadlineMs, giveUpMs } of this.#waiting) {
      next = Math.min(next, giveUpMs, bestEffort ? Number.POSITIVE_INFINITY : deadlineMs);
    }
    return next;
  }
}
