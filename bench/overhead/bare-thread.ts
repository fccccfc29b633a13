/**
 * A worker thread that runs one ONNX graph in a loop, for comparison with the service: without anything else, or with
 * decoding before each run. It posts `ready`, waits for a message, runs for `ms`, and posts its pictures a second.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { sessionOptions } from '../../src/runtime/session-options.js';

/** `workerData` of the thread. */
export interface Bare {
  readonly graph: string;
  readonly height: number;
  readonly width: number;
  readonly batch: number;
  readonly ms: number;
  /** Encoded picture that is decoded once for each place of each batch; undefined: no decoding. */
  readonly picture: Uint8Array | undefined;
}

const { graph, height, width, batch, ms, picture } = workerData as Bare;
const pixels = height * width * 3;
const input = new Uint8Array(batch * pixels).fill(128);
sharp.concurrency(1);
sharp.cache(false);

async function decode(place: number): Promise<void> {
  const raw = await sharp(picture).resize(width, height).removeAlpha().raw().toBuffer();
  input.set(raw, place * pixels);
}

async function once(session: InferenceSession): Promise<void> {
  if (picture) await Promise.all(Array.from({ length: batch }, (_, place) => decode(place)));
  await session.run({ image: new Tensor('uint8', input, [batch, height, width, 3]) });
}

// With onnxruntime's arena allocator, its default, which is faster; memory is not compared here.
const session = await InferenceSession.create(graph, {
  ...sessionOptions({ provider: 'cpu', onnxThreads: 1 }),
  enableCpuMemArena: true,
});
await once(session);
parentPort?.postMessage('ready');
await new Promise((go) => parentPort?.once('message', go)); // all threads begin together
const startMs = performance.now();
let pictures = 0;
while (performance.now() < startMs + ms) {
  await once(session);
  pictures += batch;
}
const perS = pictures / ((performance.now() - startMs) / 1000);
await session.release();
parentPort?.postMessage(perS);
