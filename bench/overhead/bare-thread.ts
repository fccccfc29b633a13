/** A worker thread that runs one graph again and again, with nothing around it, or with decoding before each run. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { sessionOptions } from '../../src/runtime/session-options.js';

export interface Bare {
  readonly graph: string;
  readonly height: number;
  readonly width: number;
  readonly batch: number;
  readonly ms: number;
  /** An encoded picture to be decoded for each place in each batch; undefined to decode none. */
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

// With onnxruntime's own arena, its default: the faster one, and memory is not compared here.
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
