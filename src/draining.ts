/** Drains the servers before they close: finishes accepted requests, refuses new ones and those that take too long. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { GrpcServer } from './grpc/server.js';
import { draining, type State } from './http/state.js';

/** How often to check whether all requests are answered: far below the time of an answer, far above that of a check. */
const POLL_MS = 5;
/** How long clients have to read the refusal at the end of draining, before their connections are closed. */
export const CUT_AFTER_MS = 1000;
/**
 * The end of DRAIN_TIMEOUT_MS that is kept for refusals and for the last runs, which cannot be cancelled: a share of it,
 * but no more than these ms. Too little: the process ends later than it was told to. Too much: requests that would have
 * been answered are refused.
 */
const LAST = { share: 0.1, mostMs: 2000 };

/** When the requests that have no answer are refused, in ms from the signal. */
export const refuseAfterMs = (timeoutMs: number): number => timeoutMs - Math.min(LAST.mostMs, LAST.share * timeoutMs);

export class Draining {
  readonly #state: State;
  readonly #servers: readonly FastifyInstance[];
  readonly #logger: Logger;
  readonly #grpc: GrpcServer | undefined;
  #endDelay = () => {};

  constructor(state: State, servers: readonly FastifyInstance[], logger: Logger, grpc: GrpcServer | undefined) {
    this.#state = state;
    this.#servers = servers;
    this.#logger = logger;
    this.#grpc = grpc;
  }

  /**
   * In two steps. For delayMs /readyz says no and answers end their connections, so that balancers and clients turn
   * elsewhere, but all requests are served: some are sent before everybody has noticed. Idle connections stay open, as a
   * request may be on its way. Then new requests are refused, idle connections closed at once and others after their
   * answers, and then the ports. Requests that take too long, by DRAIN_TIMEOUT_MS from the beginning, are refused.
   * starting: the start, which settles when no thread is loading. A service that is not ready gets no requests, so that
   * there is no delay.
   */
  async run(starting: Promise<void> | undefined, delayMs: number): Promise<void> {
    const state = this.#state;
    const { clock, config } = state;
    state.leaving = true;
    this.#grpc?.leave();
    const forget = clock.after(refuseAfterMs(config.DRAIN_TIMEOUT_MS), () => this.hurry());
    if (delayMs > 0 && state.running) await this.#delay(delayMs);
    state.draining = true;
    state.watchers.close(); // answers to /live would never end by themselves
    for (const { connections } of this.#servers) connections.drain();
    this.#grpc?.drain();
    // Waits for the start: exiting while a thread is in native code aborts the process. A failed start is logged
    // elsewhere.
    await starting?.catch(() => {});
    while (state.inFlight.size > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await Promise.all([...this.#servers, this.#grpc].map((server) => server?.close()));
    forget();
  }

  /** Refuses all requests that have no answer yet, and does not wait for further ones. */
  hurry(): void {
    this.#endDelay();
    this.#grpc?.hurry();
    for (const { connections } of this.#servers) {
      const waiting = [...connections.unanswered()];
      if (waiting.length)
        this.#logger.warn({ requests: waiting.length }, 'draining takes too long; these requests are refused');
      for (const reply of waiting) reply.send(draining('the service is shutting down and can wait no longer'));
      setTimeout(() => connections.cutAll(), CUT_AFTER_MS).unref();
    }
  }

  #delay(ms: number): Promise<void> {
    this.#logger.info({ ms }, 'requests are still served for this time');
    return new Promise((resolve) => {
      const cancel = this.#state.clock.after(ms, resolve);
      this.#endDelay = () => {
        cancel();
        resolve();
      };
    });
  }
}
