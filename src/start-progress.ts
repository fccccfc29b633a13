/** Progress of the start, for /readyz and, once a second, for the log. */
import type { Logger } from 'pino';

const EVERY_MS = 1000;

export type StartStage = 'reading' | 'optimising' | 'loading' | 'measuring' | 'warming';

export class StartProgress {
  #stage: StartStage = 'reading';
  #ready = 0;
  #of = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Stage of the start; how many instances every engine thread has loaded (ready), of how many (0 if not known yet).
   */
  get now(): { readonly stage: StartStage; readonly ready: number; readonly of: number } {
    return { stage: this.#stage, ready: this.#ready, of: this.#of };
  }

  /** Begins to log the progress. every: setInterval; tests pass their own. */
  begin(logger: Logger, every: (work: () => void, ms: number) => NodeJS.Timeout = setInterval): void {
    this.#timer = every(() => logger.info(this.now, 'starting'), EVERY_MS).unref();
  }

  enter(stage: StartStage, of = this.#of): void {
    this.#stage = stage;
    this.#of = of;
  }

  loaded(instances: number): void {
    this.#ready = instances;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
