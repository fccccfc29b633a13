/** The end of the servers: what was accepted is finished, and what takes too long is refused. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { draining, type State } from './http/state.js';

/** Short against an answer, long against looking. */
const POLL_MS = 5;
/** How long a client has to read that it was refused at the end. */
const CUT_AFTER_MS = 1000;

export class Draining {
  readonly #state: State;
  readonly #servers: readonly FastifyInstance[];
  readonly #logger: Logger;

  constructor(state: State, servers: readonly FastifyInstance[], logger: Logger) {
    this.#state = state;
    this.#servers = servers;
    this.#logger = logger;
  }

  /**
   * Refuses what is new, closes connections without a request at once, the others after their answers, and then the
   * ports. What is not answered after DRAIN_TIMEOUT_MS is refused. starting: settles when threads load no more.
   */
  async run(starting: Promise<void> | undefined): Promise<void> {
    const state = this.#state;
    state.draining = true;
    state.watchers.close(); // their answers have no end of their own
    for (const { connections } of this.#servers) connections.drain();
    const forget = state.clock.after(state.config.DRAIN_TIMEOUT_MS, () => this.hurry());
    // Ending the process while threads load aborts it (native code under exit). A start that fails says so itself.
    await starting?.catch(() => {});
    while (state.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await Promise.all(this.#servers.map((server) => server.close()));
    forget();
  }

  /** Refuses what is not answered yet. */
  hurry(): void {
    for (const { connections } of this.#servers) {
      const waiting = [...connections.unanswered()];
      if (waiting.length) this.#logger.warn({ requests: waiting.length }, 'draining takes too long; these are refused');
      for (const reply of waiting) reply.send(draining('the service is shutting down and can wait no longer'));
      setTimeout(() => connections.cutAll(), CUT_AFTER_MS).unref();
    }
  }
}
