/** Rate limit for the log of scheduling faults, which may occur thousands of times a second. */
import type { Logger } from 'pino';

/** Least time between two log lines. */
const EACH_MS = 1000;

/**
 * Makes a function that logs the first error at once and then at most one a second, with the number of errors that were
 * left out (passedOver). now: ms of a monotonic clock.
 */
export function faultLog(logger: Pick<Logger, 'error'>, now: () => number): (error: unknown) => void {
  let [lastMs, passedOver] = [Number.NEGATIVE_INFINITY, 0];
  return (err) => {
    const nowMs = now();
    if (nowMs - lastMs < EACH_MS) {
      passedOver += 1;
      return;
    }
    logger.error({ err, passedOver }, 'scheduling failed and used a simple fallback; this is a fault of the service');
    [lastMs, passedOver] = [nowMs, 0];
  };
}
