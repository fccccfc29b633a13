/** An engine thread: holds onnxruntime sessions and runs one batch at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf } from '../errors.js';
import { threadCpuMs } from './cpu-time.js';
import type { FromThread, ThreadOptions, ToThread } from './messages.js';
import { lowerThisThread } from './priority.js';
import type { Batch, Graph, Ran } from './runtime.js';
import { sessionOptions } from './session-options.js';

lowerThisThread();
const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');
const options = workerData as ThreadOptions;
const sessions = new Map<string, InferenceSession>();
const graphs = new Map(options.graphs.map((g) => [g.key, g]));
let { kept } = options;

/**
 * How many graphs stay loaded besides the kept ones (least recently used are freed first). Two, so that a client that
 * compares two instances by pinning them loads each once, and one that pins many after another does not fill the
 * memory.
 */
const MOST_ASKED_FOR = 2;

const send = (message: FromThread, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

/** The session of a graph, which is loaded if necessary. */
async function sessionOf(graph: Graph): Promise<InferenceSession> {
  const { key } = graph;
  const session = sessions.get(key) ?? (await load(graph));
  // Moves the key to the end: the map is in order of last use.
  sessions.delete(key);
  sessions.set(key, session);
  await releaseOldest();
  return session;
}

async function load({ key, path, optimised }: Graph): Promise<InferenceSession> {
  if (optimised) {
    try {
      return await InferenceSession.create(optimised.path, sessionOptions(options, optimised));
    } catch (error) {
      send({ type: 'not-shared', key, message: messageOf(error) }); // for example deleted since the start
    }
  }
  return InferenceSession.create(path, sessionOptions(options));
}

async function releaseOldest(): Promise<void> {
  const askedFor = [...sessions.keys()].filter((key) => kept !== undefined && !kept.has(key));
  for (const key of askedFor.slice(0, -MOST_ASKED_FOR)) await release(key);
}

async function release(key: string): Promise<void> {
  const session = sessions.get(key);
  sessions.delete(key);
  await session?.release();
}

/** Whether a run uses no other thread, so that this thread's CPU time is that of the run. */
const singleThreaded = options.provider === 'cpu' && options.onnxThreads === 1;

async function run({ key, size, images }: Batch): Promise<Ran> {
  const graph = graphs.get(key);
  if (!graph) throw new Error(`no graph ${key}`);
  const session = await sessionOf(graph);
  const image = new Tensor('uint8', new Uint8Array(images), [size, ...graph.shape]);
  const startMs = singleThreaded ? threadCpuMs() : undefined;
  const { logits } = await session.run({ image });
  const cpuMs = startMs === undefined ? undefined : (threadCpuMs() as number) - startMs;
  return { logits: logits?.data as Float32Array, cpuMs };
}

async function handle(message: ToThread): Promise<void> {
  switch (message.type) {
    case 'run':
      try {
        const ran = await run(message);
        send({ type: 'result', ...ran }, [ran.logits.buffer as ArrayBuffer]);
      } catch (error) {
        send({ type: 'run-failed', message: messageOf(error) });
      }
      return;
    case 'keep':
      kept = message.keys;
      for (const key of [...sessions.keys()]) if (!kept.has(key)) await release(key);
      return;
    case 'add':
      graphs.set(message.graph.key, message.graph);
      if (kept) kept = new Set([...kept, message.graph.key]);
      return;
    case 'remove':
      for (const key of message.keys) {
        graphs.delete(key);
        await release(key);
      }
      return;
    case 'close':
      await releaseAll();
      port?.close();
  }
}

async function releaseAll(): Promise<void> {
  const all = [...sessions.values()];
  sessions.clear();
  // Starts all releases before awaiting any: on `exit` of the thread, nothing after the first await would run.
  await Promise.all(all.map((session) => session.release()));
}

// Also when the thread ends by an uncaught error or process.exit: sessions hold native memory, which would not be freed
// with the thread's V8 heap.
process.once('exit', () => void releaseAll());

// Messages are handled one after another, so that no session is released during a run.
let queue: Promise<void> = start();
port.on('message', (message: ToThread) => {
  queue = queue.then(() => handle(message));
});

async function start(): Promise<void> {
  try {
    let loaded = 0;
    for (const { key, shape, classes } of options.graphs) {
      if (kept?.has(key) === false) continue;
      // Includes a first run: it reads the weights into memory and is up to three times slower than later ones.
      const { logits } = await run({ key, size: 1, images: new ArrayBuffer(shape.reduce((a, b) => a * b)) });
      if (logits?.length !== classes) throw new Error(`${key} gives ${logits?.length} logits for ${classes} labels`);
      loaded += 1;
      send({ type: 'loaded', graphs: loaded });
    }
    send({ type: 'ready' });
  } catch (error) {
    send({ type: 'start-failed', message: messageOf(error) });
  }
}
