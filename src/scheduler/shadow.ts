/**
 * Shadow runs: on an idle host some pictures that a cheaper instance answered are run again on `full`, to measure on
 * real traffic how often both agree.
 */
import { topIndices } from '../engine/softmax.js';
import type { Instance } from '../family/instance.js';

/** Upper bound of answers kept for an idle moment; beyond it the oldest are dropped. */
const MOST_KEPT = 64;

export interface ShadowOptions {
  /** Share of the answers of instances other than `full` that are run again, in 0..1. */
  readonly share: number;
  /** The instance `full` of this instance's family; undefined if the family has been replaced or removed. */
  fullOf(instance: Instance): Instance | undefined;
  /** Called after a shadow run. agreed: whether `full` has the same most probable label. */
  compared(instance: Instance, agreed: boolean): void;
  /** Random number in [0, 1); tests pass their own. */
  random?(): number;
}

/** A picture and its answer. */
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

  /** Keeps an answer for a shadow run, if it is drawn for the share. */
  offer(answered: Answered): void {
    const { share, fullOf } = this.#options;
    const full = fullOf(answered.instance);
    if (this.#random() >= share || !full || answered.instance === full) return;
    this.#kept.push(answered);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /** The next answer to run again and the instance to run it on; undefined if none is kept. */
  take(): { answered: Answered; full: Instance } | undefined {
    for (let answered = this.#kept.shift(); answered; answered = this.#kept.shift()) {
      const full = this.#options.fullOf(answered.instance);
      if (full) return { answered, full };
    }
    return undefined;
  }

  /** Reports whether the logits of `full` name the same most probable label as the answer. */
  compare({ instance, logits }: Answered, fullLogits: Float32Array): void {
    this.#options.compared(instance, topIndices(logits, 1)[0] === topIndices(fullLogits, 1)[0]);
  }
}
