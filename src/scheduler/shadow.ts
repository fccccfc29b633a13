/** Runs some cheap answers again on `full` when nothing else is to do: what cheapness costs on an operator's own traffic. */
import { topIndices } from '../engine/softmax.js';
import type { Instance } from '../family/instance.js';

/** Answers kept for an idle moment; in a long burst the oldest are dropped. */
const MOST_KEPT = 64;

export interface ShadowOptions {
  /** Share of the answers of instances other than `full`, in 0..1. */
  readonly share: number;
  /** The most accurate instance of a family. */
  fullOf(family: string): Instance;
  /** Told whether `full` names the same label first. */
  compared(instance: Instance, agreed: boolean): void;
  /** In [0, 1); tests put another in its place. */
  random?(): number;
}

export interface Answered {
  readonly instance: Instance;
  readonly pixels: Uint8Array;
  readonly logits: Float32Array;
}

export class Shadow {
  readonly #options: ShadowOptions;
  readonly #random: () => number;
  readonly #kept: Answered[] = [];

  constructor(options: ShadowOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  offer(answered: Answered): void {
    const { share, fullOf } = this.#options;
    if (this.#random() >= share || answered.instance === fullOf(answered.instance.family)) return;
    this.#kept.push(answered);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /** The next to compare, and on what; undefined if there is none. */
  take(): { answered: Answered; full: Instance } | undefined {
    const answered = this.#kept.shift();
    return answered && { answered, full: this.#options.fullOf(answered.instance.family) };
  }

  compare({ instance, logits }: Answered, fullLogits: Float32Array): void {
    this.#options.compared(instance, topIndices(logits, 1)[0] === topIndices(fullLogits, 1)[0]);
  }
}
