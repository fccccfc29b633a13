/** The queue of admitted pictures that are not running, earliest deadline first (EDF). */
import type { Instance, ResizeRule } from '../family/instance.js';
import type { PictureKind } from '../latency/model.js';
import { byRank, type Stage, type Waiting } from '../plan/snapshot.js';
import type { Outcome } from './order.js';
import type { Passage } from './passage.js';

export interface Picture extends Waiting {
  stage: Stage;
  bestEffort: boolean;
  readonly family: string;
  readonly resize: ResizeRule;
  readonly size: { readonly kind: PictureKind; readonly megapixels: number };
  readonly startMs: number;
  /**
   * When the picture is refused because it has waited too long, in the clock's ms; Infinity if that never happens
   * (giveUpOf).
   */
  readonly giveUpMs: number;
  /** Whether the picture has a latency and was admitted to meet it. */
  readonly promised: boolean;
  /** The encoded file; undefined once the picture is decoded. */
  bytes: Uint8Array | undefined;
  /** Decoded RGB, uint8 [height, width, 3]; undefined until the picture is decoded. */
  pixels: Uint8Array | undefined;
  /** Wall time that the decode took; 0 until the picture is decoded. */
  decodeMs: number;
  readonly passage: Passage;
  /** Aborted to stop the decode. */
  readonly stop: AbortController;
  /** Called when the picture is decoded. */
  decoded(): void;
  /** Called when a network has run the picture. */
  ran: ((instance: Instance) => void) | undefined;
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

  /** Searches its place from the end, as most new pictures have the latest deadline. */
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

  /** The earliest deadline or end of waiting, in the clock's ms; Infinity if there is none. A timer has to act then. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { bestEffort, deadlineMs, giveUpMs } of this.#waiting) {
      next = Math.min(next, giveUpMs, bestEffort ? Number.POSITIVE_INFINITY : deadlineMs);
    }
    return next;
  }
}
