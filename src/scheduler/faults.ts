/** Contains unexpected exceptions in scheduling: each is reported, and a simple fallback value is used instead. */
export class Faults {
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void = () => {}) {
    this.#report = report;
  }

  tell(error: unknown): void {
    try {
      this.#report(error);
    } catch {
      // A failing reporter must not end the service.
    }
  }

  /** The result of `work`, or of `otherwise` if `work` throws. */
  orElse<T>(work: () => T, otherwise: () => T): T {
    try {
      return work();
    } catch (error) {
      this.tell(error);
      return otherwise();
    }
  }

  /** Does optional work. */
  attempt(work: () => void): void {
    this.orElse(work, () => {});
  }

  /** The result of `ms`, or 0 if that throws. */
  orZero(ms: () => number): number {
    return this.orElse(ms, () => 0);
  }
}
