/** What can be said of a request before it is admitted. Pure. */
import { finishMs, type Load, wholeBacklogMs } from '../policy/admission.js';
import { limitsOf } from '../policy/picture.js';
import { deadlineOf, type Order } from './order.js';

export interface Foresight {
  /** ms of its fastest run of one picture, a high quantile. */
  readonly aloneMs: number;
  /** ms of one thread for each of its pictures, at the best rate. */
  readonly workMs: number;
  /** When it should be done. */
  readonly doneMs: number;
  /** When its first picture should start if it has to let all others go first. */
  readonly lastMs: number;
}

/** decodeMs: until its pictures should be decoded. */
export function foresee(order: Order, pictures: number, decodeMs: number, load: Load): Foresight {
  const { aloneMs, rateMs } = limitsOf(load)(order.allowed);
  return {
    aloneMs,
    workMs: rateMs,
    doneMs: finishMs({ ...order, deadlineMs: deadlineOf(order) }, pictures, decodeMs, load),
    lastMs: load.nowMs + Math.max(decodeMs, wholeBacklogMs(load)),
  };
}

/** For want of it: whoever comes is admitted, as long as there is a place. */
export const unforeseen = (nowMs: number): Foresight => ({ aloneMs: 0, workMs: 0, doneMs: nowMs, lastMs: nowMs });
