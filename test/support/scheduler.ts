import { Engine } from '../../src/engine/engine.js';
import { DimmerError } from '../../src/errors.js';
import type { Order } from '../../src/scheduler/order.js';
import { Scheduler, type SchedulerOptions } from '../../src/scheduler/scheduler.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeDecoder } from './fake-decoder.js';
import { FakeLatency } from './fake-latency.js';
import { FakeRuntime } from './fake-runtime.js';
import { FAMILY } from './instances.js';

/** A scheduler with a fake clock, a fake engine whose runs the test ends, and a fake decoder that needs no time. */
export function setUpScheduler(
  options: Partial<SchedulerOptions> = {},
  { threads = 1, device = 'cpu' as 'cpu' | 'cuda' } = {},
) {
  const clock = new FakeClock();
  const runtime = new FakeRuntime({ threads, device });
  const decoder = new FakeDecoder({ now: () => clock.now() });
  const latency = new FakeLatency();
  const faults: unknown[] = [];
  const scheduler = new Scheduler({
    engine: new Engine(runtime),
    decoder,
    latency,
    clock,
    cpus: { now: () => ({ count: threads, answerMs: 0, perRun: 1, networks: device === 'cpu' }) },
    maxQueue: 100,
    onFault: (error) => faults.push(error),
    ...options,
  });
  const order = (facts: Partial<Order> = {}): Order => ({
    allowed: FAMILY,
    family: 'test',
    resize: { size: 1, crop: 1, kernel: 'nearest', alpha: 'drop' },
    startMs: clock.now(),
    latencyMs: undefined,
    strict: true,
    bestEffort: false,
    ...facts,
  });
  /** Submits a request of several pictures; resolves with their outcomes. */
  const ask = (facts: Partial<Order> = {}, { pictures = 1, signal = new AbortController().signal } = {}) =>
    scheduler.classify(order(facts), {
      images: Array.from({ length: pictures }, (_, n) => Uint8Array.of(n, 2, 3)),
      signal,
      decoded: () => {},
    });
  /** Submits a request of one picture; resolves with its outcome or error, and the time. */
  const submit = async (facts: Partial<Order> = {}, signal = new AbortController().signal) => {
    const fate = (what: string) => ({ what, atMs: clock.now() });
    try {
      const [outcome] = await ask(facts, { signal });
      return { ...fate(outcome?.instance.id as string), outcome, error: undefined };
    } catch (error) {
      return {
        ...fate(error instanceof DimmerError ? error.code : (error as Error).message),
        outcome: undefined,
        error: error as Error,
      };
    }
  };
  const finishAll = async () => {
    for (await settle(); runtime.runs.length; await settle()) runtime.runs[0]?.finish();
  };
  /** `<key> x <size>` of every run so far. */
  const runs = () => runtime.history.map((b) => `${b.key} x ${b.size}`);
  return { clock, runtime, decoder, latency, scheduler, faults, order, ask, submit, finishAll, runs };
}
