/** The requests that are not answered yet. */
export class InFlight {
  /** For each request a promise that resolves at its end. */
  readonly #all = new Set<Promise<void>>();

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** A request begins; the returned function ends it. */
  begin(): () => void {
    let resolve = () => {};
    const ended = new Promise<void>((resolveEnded) => {
      resolve = resolveEnded;
    });
    this.#all.add(ended);
    return () => {
      this.#all.delete(ended);
      resolve();
    };
  }

  /** Resolves when all requests that are in flight now have ended; later ones do not matter. */
  async settled(): Promise<void> {
    await Promise.all(this.#all);
  }
}
