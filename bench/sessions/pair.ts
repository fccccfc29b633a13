/**
 * For every instance of a family, compares a session with shared weights and an ordinary session, on one thread:
 * pair.ts JSON (a `Question`). Prints a list of `Compared` as JSON.
 */
import '../../src/runtime/no-telemetry.js';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Family } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { quantileOf } from '../../src/latency/quantile.js';
import { threadCpuMs } from '../../src/runtime/cpu-time.js';
import { sessionOptions } from '../../src/runtime/session-options.js';
import type { Weights } from '../../src/weights/mode.js';
import { shareWeights } from '../../src/weights/share.js';

export interface Question {
  readonly family: string;
  readonly cacheDir: string;
  readonly weights: Weights;
  readonly runs: number;
}
export interface Compared {
  readonly instance: string;
  readonly size: number;
  readonly sharedMs: number;
  readonly ordinaryMs: number;
  readonly ratio: number;
  /** Largest absolute difference between the logits of the two sessions. */
  readonly difference: number;
}

const SIZES = [1, 4];
/** Quantile of the runs that is compared. */
const LOW = 0.25;
const ENGINE = { provider: 'cpu', onnxThreads: 1 } as const;

type Pair = readonly [shared: InferenceSession, ordinary: InferenceSession];

/** Times both sessions on the same images, in turns, each first in every other round. */
async function timed(pair: Pair, image: Tensor, runs: number): Promise<Omit<Compared, 'instance' | 'size'>> {
  const once = async (session: InferenceSession) => (await session.run({ image })).logits?.data as Float32Array;
  const [a, b] = [await once(pair[0]), await once(pair[1])];
  const ms: [number[], number[]] = [[], []];
  for (let n = 0; n < runs; n++) {
    for (const place of n % 2 ? ([0, 1] as const) : ([1, 0] as const)) {
      const startMs = threadCpuMs() as number;
      await once(pair[place]);
      ms[place].push((threadCpuMs() as number) - startMs);
    }
  }
  const [sharedMs, ordinaryMs] = ms.map((values) => quantileOf(values, LOW)) as [number, number];
  const difference = Math.max(...a.map((v, n) => Math.abs(v - (b[n] as number))));
  return { sharedMs, ordinaryMs, ratio: sharedMs / ordinaryMs, difference };
}

function pictures({ height, width }: Family, size: number): Tensor {
  const dims = [size, height, width, 3];
  const pixels = Uint8Array.from({ length: dims.reduce((a, b) => a * b) }, (_, n) => (n * 31 + (n >> 7) * 17) % 256);
  return new Tensor('uint8', pixels, dims);
}

async function compare({ family: folder, cacheDir, weights, runs }: Question): Promise<Compared[]> {
  const family = await loadFamily(folder);
  const onTrouble = ({ reason }: { reason: string }) => {
    throw new Error(reason);
  };
  const shared = await shareWeights([family], { cacheDir, weights, onnxruntime: '', threads: 1, onTrouble });
  const all: Compared[] = [];
  for (const { key, graph } of family.instances) {
    const optimised = shared.get(family.name)?.graphs.get(key);
    if (!optimised) throw new Error(`${key} is not shared`);
    const pair: Pair = [
      await InferenceSession.create(optimised.path, sessionOptions(ENGINE, optimised)),
      await InferenceSession.create(graph, sessionOptions(ENGINE)),
    ];
    for (const size of SIZES) all.push({ instance: key, size, ...(await timed(pair, pictures(family, size), runs)) });
    for (const session of pair) await session.release();
  }
  return all;
}

// Measured on a worker thread, as in the service: allocators treat the main thread differently.
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: JSON.parse(process.argv[2] as string) });
  worker.once('message', (compared) => console.log(JSON.stringify(compared)));
} else {
  parentPort?.postMessage(await compare(workerData as Question));
}
