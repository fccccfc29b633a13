/** Rate limits for log lines about what may go wrong thousands of times a second. */
import type { Logger } from 'pino';

/** Least time between two log lines about scheduling. */
const EACH_MS = 1000;

/**
 * Makes a function that passes the first error on at once and then at most one in each `everyMs`, with the number of
 * errors that were left out (passedOver). now: ms of a monotonic clock.
 */
export function sparingly(
  everyMs: number,
  now: () => number,
  write: (error: unknown, passedOver: number) => void,
): (error: unknown) => void {
  let [lastMs, passedOver] = [Number.NEGATIVE_INFINITY, 0];
  return (error) => {
    const nowMs = now();
    if (nowMs - lastMs < everyMs) {
      passedOver += 1;
      return;
    }
    write(error, passedOver);
    [lastMs, passedOver] = [nowMs, 0];
  };
}

export function faultLog(logger: Pick<Logger, 'error'>, now: () => number): (error: unknown) => void {
  return sparingly(EACH_MS, now, (err, passedOver) =>
    logger.error({ err, passedOver }, 'scheduling failed and used a simple fallback; this is a fault of the service'),
  );
}
