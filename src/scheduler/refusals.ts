/** The errors of the scheduler: why a request's pictures were not run. backlogMs becomes Retry-After. */
import { DimmerError } from '../errors.js';

const retryAfter = (backlogMs: number) => Math.max(1, Math.ceil(backlogMs / 1000));

/** queued: pictures in the queue. pictures: those of the request. limit: MAX_QUEUE. */
export function overloaded(queued: number, pictures: number, limit: number, backlogMs: number): DimmerError {
  return new DimmerError('overloaded', {
    detail: `${queued} pictures are waiting and ${pictures} more would exceed the limit of ${limit} (MAX_QUEUE), or half of it for pictures that cannot be in time`,
    expected: 'a queue with room for every picture of the request',
    action: 'try again after the time in Retry-After',
    retryAfterS: retryAfter(backlogMs),
  });
}

export function deadlineUnattainable(
  queued: number,
  wouldTakeMs: number,
  latencyMs: number,
  backlogMs: number,
): DimmerError {
  return new DimmerError('deadline-unattainable', {
    detail: `with ${queued} pictures waiting, the answer would take ${Math.ceil(wouldTakeMs)} ms of the ${latencyMs} ms allowed`,
    expected: 'a shorter queue, or a larger latency',
    action: 'try again later, raise latency, or add strict=?0 to be answered late',
    retryAfterS: retryAfter(backlogMs),
  });
}

/** A picture that is not strict and has waited longer than it may. maxWaitMs: MAX_WAIT_MS. */
export function waitedTooLong(waitedMs: number, maxWaitMs: number, backlogMs: number): DimmerError {
  return overloadedFor(
    `the picture has waited ${Math.round(waitedMs)} ms behind those that can still be in time, and one that is not strict waits ${maxWaitMs} ms at most (MAX_WAIT_MS)`,
    backlogMs,
  );
}

/** A picture that is not strict and, by the backlog, would wait longer than it may: refused on arrival. */
export function wouldWaitTooLong(queued: number, maxWaitMs: number, backlogMs: number): DimmerError {
  return overloadedFor(
    `with ${queued} pictures waiting this one could start in ${Math.ceil(backlogMs)} ms, and one that is not strict waits ${maxWaitMs} ms at most (MAX_WAIT_MS)`,
    backlogMs,
  );
}

const overloadedFor = (detail: string, backlogMs: number) =>
  new DimmerError('overloaded', {
    detail,
    expected: 'fewer pictures that have to be answered first',
    action: 'try again after the time in Retry-After, or ask for a latency that can be kept',
    retryAfterS: retryAfter(backlogMs),
  });

export function internal(): DimmerError {
  return new DimmerError('internal', {
    detail: 'the service failed to schedule this picture',
    expected: 'a service without this fault',
    action: 'send the request again; if it fails again, tell the operator, whose log has the details',
  });
}

export function deadlineExceeded(waitedMs: number): DimmerError {
  return new DimmerError('deadline-exceeded', {
    detail: `the picture waited until no allowed instance could finish in time (${Math.round(waitedMs)} ms) and was never run`,
    expected: 'a start early enough for the latency asked for',
    action: 'try again, raise latency, or add strict=?0 to be answered late',
  });
}
