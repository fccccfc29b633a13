/** Runs pictures on an instance. */
import type { Instance } from '../family/instance.js';
import type { Runtime } from '../runtime/runtime.js';
import { scatter, stack } from './batch.js';

export class Engine {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Engine threads that are alive, at least 1: a dead one is being replaced. */
  get threads(): number {
    return Math.max(1, this.#runtime.alive);
  }

  get idle(): number {
    return this.#runtime.idle;
  }

  /** Whether every engine thread has it ready; any other is loaded for its run. */
  keeps({ key }: Instance): boolean {
    return this.#runtime.keeps(key);
  }

  /** Calls back whenever a thread has become idle; returns what ends that. */
  onIdle(callback: () => void): () => void {
    return this.#runtime.onIdle(callback);
  }

  /** pictures: uint8 [h, w, 3] each -> logits [classes] each. Raises DimmerError engine-failed. */
  async run(instance: Instance, pictures: readonly Uint8Array[]): Promise<Float32Array[]> {
    const batch = { key: instance.key, size: pictures.length, images: stack(pictures) };
    return scatter(await this.#runtime.run(batch), pictures.length);
  }
}
