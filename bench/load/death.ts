/** How one engine thread is made to die, from the thread that listens for the order to the thread that hears it. */
import { BroadcastChannel } from 'node:worker_threads';

const CHANNEL = 'dimmer-bench-death';

/** One of the threads that may be killed dies; where there is none, nothing happens. */
export function killOne(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage(new SharedArrayBuffer(4));
  channel.close();
}

/**
 * Lets this thread be killed. Of all that hear the order the first dies, between two runs: ended under one, it would
 * take the process along (as in src/runtime/pool.ts). A batch that was on its way to it fails.
 */
export function mayBeKilled(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = (event) => {
    const taken = new Int32Array((event as { data: SharedArrayBuffer }).data);
    if (Atomics.exchange(taken, 0, 1) === 0) process.exit(1);
  };
  channel.unref(); // it must not keep a thread that was closed
}
