/**
 * Lets a bench kill one engine thread: the main thread sends an order over a broadcast channel, and one thread exits.
 */
import { BroadcastChannel } from 'node:worker_threads';

const CHANNEL = 'dimmer-bench-death';

/** Makes one of the threads that called `mayBeKilled` exit; does nothing if there is none. */
export function killOne(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage(new SharedArrayBuffer(4));
  channel.close();
}

/**
 * Lets this thread be killed by `killOne`. The first thread that receives the order exits, the others ignore it. It
 * exits between two runs, because ending a thread during a native run aborts the process. A batch already sent to it
 * fails.
 */
export function mayBeKilled(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = (event) => {
    const taken = new Int32Array((event as { data: SharedArrayBuffer }).data);
    if (Atomics.exchange(taken, 0, 1) === 0) process.exit(1);
  };
  channel.unref(); // the channel must not keep a closed thread alive
}
