/**
 * Ends the process on signals and uncaught errors. The library close-with-grace is not used: on a second signal it
 * calls process.exit at once, which aborts the process if a thread is in a native run.
 */
import type { Logger } from 'pino';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
/** Signals within this time of the first are ignored: npm and the terminal both pass on the same Ctrl-C. */
const SAME_SIGNAL_MS = 500;
/** Time for the last answers and runs after the rest was refused; then the process is killed. */
export const KILL_AFTER_MS = 5000;

export interface Ending {
  /**
   * Drains and closes the service; called once, with the signal, or without one after an error. Afterwards no thread is
   * in native code.
   */
  readonly close: (signal: NodeJS.Signals | undefined) => Promise<void>;
  /** Makes `close` refuse requests without an answer. */
  readonly hurry: () => void;
  /** How long `close` takes by itself (DRAIN_TIMEOUT_MS). */
  readonly drainMs: number;
  readonly logger: Logger;
}

/**
 * Listens for signals and uncaught errors. The first calls `close`, the second `hurry`, a third signal kills the
 * process. After an error the exit code is 1. The process is also killed KILL_AFTER_MS after the end of draining or
 * after `hurry`.
 */
export function endGracefully({ close, hurry, drainMs, logger }: Ending): void {
  let code = 0;
  let asked = 0;
  let firstMs = 0;

  const kill = () => {
    logger.fatal('not ended in time, killed');
    process.kill(process.pid, 'SIGKILL');
  };
  const end = async (signal: NodeJS.Signals | undefined) => {
    setTimeout(kill, drainMs + KILL_AFTER_MS).unref();
    try {
      await close(signal);
      logger.info('closed');
    } catch (err) {
      code = 1;
      logger.fatal({ err }, 'cannot close');
    }
    process.exit(code);
  };
  const ask = (signal?: NodeJS.Signals) => {
    asked += 1;
    if (asked === 1) {
      firstMs = performance.now();
      void end(signal);
    } else if (asked === 2) {
      setTimeout(kill, KILL_AFTER_MS).unref();
      hurry();
    } else kill();
  };

  for (const name of SIGNALS) {
    process.on(name, () => {
      if (asked === 1 && performance.now() - firstMs < SAME_SIGNAL_MS) return;
      logger.info({ signal: name }, asked === 0 ? 'draining' : 'asked again to end');
      ask(name);
    });
  }
  process.on('uncaughtException', (err) => {
    code = 1;
    logger.fatal({ err }, 'unexpected error, shutting down');
    // Repeated errors while draining must not kill the process; the timers end it.
    if (asked < 2) ask();
  });
}
