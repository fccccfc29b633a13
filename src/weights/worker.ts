/** Worker thread that builds the shared graphs of one family and then ends, so that the event loop is not blocked. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession } from 'onnxruntime-node';
import { messageOf } from '../errors.js';
import { lowerThisThread } from '../runtime/priority.js';
import { optimisingOptions } from '../runtime/session-options.js';
import { build } from './build.js';
import type { Order, Outcome } from './messages.js';

lowerThisThread();
const { sources, weights, folder, stop } = workerData as Order;

async function optimise(model: Uint8Array, path: string, data: string | undefined): Promise<void> {
  if (Atomics.load(stop, 0) !== 0) throw new Error('stopped before it was finished');
  const session = await InferenceSession.create(model, optimisingOptions(path, data));
  await session.release();
}

const send = (outcome: Outcome) => parentPort?.postMessage(outcome);
try {
  send({ type: 'built', ...(await build(sources, weights, folder, optimise)) });
} catch (error) {
  send({ type: 'failed', message: messageOf(error) });
}
