/**
 * How the process ends: by a signal or an error that nobody caught. close-with-grace would call process.exit on a second
 * one, whatever its hooks do, and under a native run that aborts the process.
 */
import type { Logger } from 'pino';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
/** npm and a terminal both pass on the same Ctrl-C: what comes so soon after the first is the first. */
const SAME_SIGNAL_MS = 500;
/** For the last answers and runs once there was no more time; then the process is killed. */
const KILL_AFTER_MS = 5000;

export interface Ending {
  /** Finishes what was accepted; called once. When it is done nothing native runs any more. */
  readonly close: () => Promise<void>;
  /** Makes `close` refuse what is left. */
  readonly hurry: () => void;
  /** How long `close` takes before it hurries by itself. */
  readonly drainMs: number;
  readonly logger: Logger;
}

/**
 * The first signal drains, a second one hurries, a third kills. Errors that nobody caught do the same, and the exit code
 * is 1 then. Whatever hangs is killed KILL_AFTER_MS after it was to hurry.
 */
export function endGracefully({ close, hurry, drainMs, logger }: Ending): void {
  let code = 0;
  let asked = 0;
  let firstMs = 0;

  const kill = () => {
    logger.fatal('not ended in time, killed');
    process.kill(process.pid, 'SIGKILL');
  };
  const end = async () => {
    setTimeout(kill, drainMs + KILL_AFTER_MS).unref();
    try {
      await close();
      logger.info('closed');
    } catch (err) {
      code = 1;
      logger.fatal({ err }, 'cannot close');
    }
    process.exit(code);
  };
  const ask = () => {
    asked += 1;
    if (asked === 1) {
      firstMs = performance.now();
      void end();
    } else if (asked === 2) {
      setTimeout(kill, KILL_AFTER_MS).unref();
      hurry();
    } else kill();
  };

  for (const name of SIGNALS) {
    process.on(name, () => {
      if (asked === 1 && performance.now() - firstMs < SAME_SIGNAL_MS) return;
      logger.info({ signal: name }, asked === 0 ? 'draining' : 'asked again to end');
      ask();
    });
  }
  process.on('uncaughtException', (err) => {
    code = 1;
    logger.fatal({ err }, 'unexpected error, shutting down');
    // One that comes again and again while draining must not become a kill: the timers see to the end.
    if (asked < 2) ask();
  });
}
