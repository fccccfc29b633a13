/** Faults that may come thousands a second, in a log that can be read. */
import type { Logger } from 'pino';

const EACH_MS = 1000;

/** Logs the first at once and then one a second at most, with how many were passed over. now: ms of a monotonic clock. */
export function faultLog(logger: Pick<Logger, 'error'>, now: () => number): (error: unknown) => void {
  let [lastMs, passedOver] = [Number.NEGATIVE_INFINITY, 0];
  return (err) => {
    const nowMs = now();
    if (nowMs - lastMs < EACH_MS) {
      passedOver += 1;
      return;
    }
    logger.error({ err, passedOver }, 'scheduling failed and goes on in a simple way; this is a fault of the service');
    [lastMs, passedOver] = [nowMs, 0];
  };
}
