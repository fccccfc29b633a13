/** Runs decoded pictures as one batch on an instance of a network. */
import type { Instance } from '../family/instance.js';
import type { Runtime } from '../runtime/runtime.js';
import { scatter, stack } from './batch.js';

export class Engine {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Engine threads alive; at least 1, because a dead thread is being replaced. */
  get threads(): number {
    return Math.max(1, this.#runtime.alive);
  }

  /** The sizes that a batch may have on this device, smallest first. */
  get batchSizes(): readonly number[] {
    return this.#runtime.batchSizes;
  }

  /** Engine threads that could begin a run now. */
  get idle(): number {
    return this.#runtime.idle;
  }

  /** Whether the instance is loaded in every engine thread; another one is loaded for its run. */
  keeps({ key }: Instance): boolean {
    return this.#runtime.keeps(key);
  }

  /** Calls back whenever an engine thread becomes idle; returns a function that ends the subscription. */
  onIdle(callback: () => void): () => void {
    return this.#runtime.onIdle(callback);
  }

  /**
   * Runs pictures, uint8 [height, width, 3] each; resolves to logits [classes] for each. Needs an idle engine thread.
   * Raises DimmerError engine-failed.
   */
  async run(instance: Instance, pictures: readonly Uint8Array[]): Promise<Float32Array[]> {
    const batch = { key: instance.key, size: pictures.length, images: stack(pictures) };
    return scatter(await this.#runtime.run(batch), pictures.length);
  }
}
