/** What should not happen and yet must end nothing: it is told, and something simple takes its place. */
export class Faults {
  readonly #told: (error: unknown) => void;

  constructor(told: (error: unknown) => void = () => {}) {
    this.#told = told;
  }

  tell(error: unknown): void {
    try {
      this.#told(error);
    } catch {
      // Who cannot be told is not.
    }
  }

  /** What the first gives, or the second if that throws. */
  orElse<T>(work: () => T, otherwise: () => T): T {
    try {
      return work();
    } catch (error) {
      this.tell(error);
      return otherwise();
    }
  }

  /** For what can be done without. */
  attempt(work: () => void): void {
    this.orElse(work, () => {});
  }

  /** ms; 0 if it cannot be told. */
  orNothing(ms: () => number): number {
    return this.orElse(ms, () => 0);
  }
}
