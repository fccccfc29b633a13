/** A set of callbacks for one event. */
export class Listeners {
  readonly #all = new Set<() => void>();

  /** Adds a callback; returns a function that removes it. */
  add(callback: () => void): () => void {
    const own = () => callback(); // the same callback may be added twice
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  /** Calls all callbacks. */
  tell(): void {
    for (const callback of [...this.#all]) callback();
  }
}
