/** What a trace tells of a request and its pictures: which budget, what ran, and when. */
import type { Budget } from './router/budget.js';
import type { Passage } from './scheduler/passage.js';
import type { RequestTrace } from './telemetry/tracing.js';

export function traceBudget(trace: RequestTrace, { flops, cost, latency, accuracy, strict }: Budget): void {
  trace.set({
    'dimmer.budget.flops': flops,
    'dimmer.budget.cost': cost,
    'dimmer.budget.latency_ms': latency,
    'dimmer.budget.accuracy': accuracy,
    'dimmer.budget.strict': strict,
  });
}

/** A request whose pictures are answered or not wanted any more. */
export interface Traced {
  /** When the last byte of the body was read, in the clock's ms. */
  readonly startMs: number;
  /** Size of the encoded pictures. */
  readonly bytes: number;
  /** Empty if the request was not admitted. */
  readonly passages: readonly Passage[];
  readonly nowMs: number;
}

/**
 * Adds the spans of a request: `receive`, and for each picture `queue`, `decode`, `queue` and `infer`, as far as it came.
 * Decodes and runs happened in other processes and threads; their times are those of the scheduler, on one clock.
 *
 * Each picture has its own `infer`, so that a trace has all of its request. The spans of one batch have the same
 * `dimmer.batch.id`. One span for the batch with links to its requests would be a trace of its own, which a view of the
 * request does not show.
 */
export function traceStages(trace: RequestTrace, { startMs, bytes, passages, nowMs }: Traced): void {
  trace.add('receive', { startMs: trace.startMs, endMs: startMs, facts: { 'dimmer.bytes': bytes } });
  passages.forEach((passage, index) => {
    const picture = passages.length > 1 ? { 'dimmer.image': index } : {};
    const { arrivalMs, decode, run } = passage;
    const wait = (fromMs: number, next: { startMs: number } | undefined) =>
      trace.add('queue', { startMs: fromMs, endMs: next?.startMs ?? nowMs, facts: picture });
    wait(arrivalMs, decode);
    if (!decode) return;
    trace.add('decode', { ...decode, endMs: decode.endMs ?? nowMs, facts: picture });
    if (decode.endMs === undefined || decode.failed) return;
    wait(decode.endMs, run);
    if (!run) return;
    const { instance, size, batch } = run;
    trace.add('infer', {
      ...run,
      endMs: run.endMs ?? nowMs,
      facts: {
        ...picture,
        'dimmer.instance': instance.id,
        'dimmer.batch.size': size,
        'dimmer.batch.id': batch,
        'dimmer.cost.flops': instance.flops,
        'dimmer.cost.share': instance.share,
      },
    });
  });
}
