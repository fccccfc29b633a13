/** The decoded pictures that wait for an engine thread, in order of rank. */
import type { DimmerError } from '../errors.js';
import { byRank, type Waiting } from '../policy/picture.js';
import type { Outcome } from './order.js';

export interface Picture extends Waiting {
  readonly pixels: Uint8Array;
  readonly startMs: number;
  /** When it is told that it waits no longer; Infinity for one that a deadline or nothing bounds. */
  readonly giveUpMs: number;
  resolve(outcome: Outcome): void;
  reject(error: DimmerError): void;
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

  remove(pictures: ReadonlySet<Picture>): void {
    if (pictures.size) this.#waiting = this.#waiting.filter((w) => !pictures.has(w));
  }

  /** Whatever has become of it: a picture that has turned late is another object with the same pixels. */
  drop(pixels: Uint8Array): void {
    this.#waiting = this.#waiting.filter((w) => w.pixels !== pixels);
  }

  /** Takes out and returns those that wait no longer. */
  takeOverdue(nowMs: number): readonly Picture[] {
    const overdue = this.#waiting.filter((w) => w.giveUpMs <= nowMs);
    this.remove(new Set(overdue));
    return overdue;
  }

  /** Takes out and returns all. */
  takeAll(): readonly Picture[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  /** When the next one expires or waits no longer: nobody else may notice. Infinity if none does. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { late, deadlineMs, giveUpMs } of this.#waiting) {
      next = Math.min(next, giveUpMs, late ? Number.POSITIVE_INFINITY : deadlineMs);
    }
    return next;
  }
}
