/** Gauges of the running service, which are read whenever metrics are collected. */
import type { State } from './http/state.js';
import { sharedOutBytes } from './runtime/memory.js';
import type { Runtime } from './runtime/runtime.js';
import type { Scheduler } from './scheduler/scheduler.js';

export function observeService(state: State, scheduler: Scheduler, runtime: Runtime): void {
  const { queued, waitingBytes, threads, ready, memory } = state.metrics;
  const serves = () => !state.leaving && !state.draining && runtime.alive > 0;
  Object.assign(memory, { collect: async () => memory.set((await sharedOutBytes()) ?? Number.NaN) });
  Object.assign(queued, { collect: () => queued.set(scheduler.queued) });
  Object.assign(waitingBytes, { collect: () => waitingBytes.set(state.uploads.heldBytes) });
  Object.assign(threads, { collect: () => threads.set({ device: runtime.device }, runtime.alive) });
  Object.assign(ready, { collect: () => ready.set(serves() ? 1 : 0) });
}
