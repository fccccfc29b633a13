/** The decoding thread: hands pictures to sharp as they come and sends back their pixels. */
import { parentPort, workerData } from 'node:worker_threads';
import { DimmerError, messageOf } from '../errors.js';
import { decode, inspect, warmDecoder } from './decode.js';
import type { DecoderOptions, FromDecoder, ToDecoder } from './decoder.js';

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');
const { maxPixels } = workerData as DecoderOptions;

port.on('message', async (message: ToDecoder) => {
  if (message.type === 'close') return port.close();
  const answer = await answerTo(message);
  port.postMessage(answer, 'pixels' in answer ? [answer.pixels.buffer as ArrayBuffer] : []);
});

async function answerTo(message: Exclude<ToDecoder, { type: 'close' }>): Promise<FromDecoder> {
  const { id, rule } = message;
  try {
    const limits = { maxPixels };
    const read = async (bytes: Uint8Array) => decode(bytes, await inspect(bytes, rule, limits), rule, limits);
    const pixels = message.type === 'warm' ? await warmDecoder(rule) : await read(message.bytes);
    // libvips' own memory cannot be handed over.
    return { id, pixels: new Uint8Array(pixels) };
  } catch (error) {
    if (error instanceof DimmerError) return { id, code: error.code, facts: error.facts };
    return { id, unexpected: messageOf(error) };
  }
}
