/** Those who are told of something. */
export class Listeners {
  readonly #all = new Set<() => void>();

  /** Returns what ends it. */
  add(callback: () => void): () => void {
    const own = () => callback(); // the same callback may be added twice
    this.#all.add(own);
    return () => void this.#all.delete(own);
  }

  tell(): void {
    for (const callback of [...this.#all]) callback();
  }
}
