/** Sends at fixed times. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `send` for each time, in ms from now, as soon as it has come; resolves after the last. What has become due
 * meanwhile is sent at once, and its lag shows it.
 *
 * It sleeps and does not spin: the generator shares the CPUs with what it measures. A timer of Node is up to 1 ms late,
 * which is the price.
 */
export async function openLoop(arrivalsMs: readonly number[], send: (index: number, lagMs: number) => void) {
  const startMs = performance.now();
  for (let index = 0; index < arrivalsMs.length; ) {
    const nowMs = performance.now() - startMs;
    const dueMs = arrivalsMs[index] as number;
    if (dueMs <= nowMs) send(index++, nowMs - dueMs);
    else await sleep(dueMs - nowMs);
  }
}

/** Keeps so many calls of `send` going until the time is over; resolves when the last has ended. */
export async function closedLoop(connections: number, ms: number, send: (index: number) => Promise<void>) {
  const endMs = performance.now() + ms;
  let index = 0;
  const keepSending = async () => {
    while (performance.now() < endMs) await send(index++);
  };
  await Promise.all(Array.from({ length: connections }, keepSending));
}
