/** Drains the servers before they close: finishes accepted requests, refuses new ones and those that take too long. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { GrpcServer } from './grpc/server.js';
import { draining, type State } from './http/state.js';

/** How often to check whether all requests are answered: far below the time of an answer, far above that of a check. */
const POLL_MS = 5;
/** How long clients have to read the refusal at the end of draining, before their connections are closed. */
const CUT_AFTER_MS = 1000;

export class Draining {
  readonly #state: State;
  readonly #servers: readonly FastifyInstance[];
  readonly #logger: Logger;
  readonly #grpc: GrpcServer | undefined;

  constructor(state: State, servers: readonly FastifyInstance[], logger: Logger, grpc: GrpcServer | undefined) {
    this.#state = state;
    this.#servers = servers;
    this.#logger = logger;
    this.#grpc = grpc;
  }

  /**
   * Refuses new requests, closes idle connections at once and others after their answers, and then closes the ports.
   * Requests without an answer after DRAIN_TIMEOUT_MS are refused. starting: the start, which settles when no thread is
   * loading.
   */
  async run(starting: Promise<void> | undefined): Promise<void> {
    const state = this.#state;
    state.draining = true;
    state.watchers.close(); // answers to /live would never end by themselves
    for (const { connections } of this.#servers) connections.drain();
    this.#grpc?.drain();
    const forget = state.clock.after(state.config.DRAIN_TIMEOUT_MS, () => this.hurry());
    // Waits for the start: exiting while a thread is in native code aborts the process. A failed start is logged
    // elsewhere.
    await starting?.catch(() => {});
    while (state.inFlight.size > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await Promise.all([...this.#servers, this.#grpc].map((server) => server?.close()));
    forget();
  }

  /** Refuses all requests that have no answer yet. */
  hurry(): void {
    this.#grpc?.hurry();
    for (const { connections } of this.#servers) {
      const waiting = [...connections.unanswered()];
      if (waiting.length)
        this.#logger.warn({ requests: waiting.length }, 'draining takes too long; these requests are refused');
      for (const reply of waiting) reply.send(draining('the service is shutting down and can wait no longer'));
      setTimeout(() => connections.cutAll(), CUT_AFTER_MS).unref();
    }
  }
}
