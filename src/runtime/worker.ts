/** An engine thread: holds the sessions and runs one batch at a time. The only file importing onnxruntime-node. */
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
 * Graphs that stay loaded besides those that are kept, the last ones asked for: two, so that who compares two instances by
 * pinning them loads each once, and who pins one after another fills no memory.
 */
const MOST_ASKED_FOR = 2;

const send = (message: FromThread, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

/** The session of a graph; loaded, if it is not. */
async function sessionOf(graph: Graph): Promise<InferenceSession> {
  const { key } = graph;
  const session = sessions.get(key) ?? (await load(graph));
  // The last in the map is the one that was used last.
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
      send({ type: 'not-shared', key, message: messageOf(error) }); // somebody has deleted it since the start
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

/** Whether all of a run's CPU time is this thread's. */
const alone = options.provider === 'cpu' && options.onnxThreads === 1;

async function run({ key, size, images }: Batch): Promise<Ran> {
  const graph = graphs.get(key);
  if (!graph) throw new Error(`no graph ${key}`);
  const session = await sessionOf(graph);
  const image = new Tensor('uint8', new Uint8Array(images), [size, ...graph.shape]);
  const startMs = alone ? threadCpuMs() : undefined;
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
    case 'close':
      await releaseAll();
      port?.close();
  }
}

async function releaseAll(): Promise<void> {
  const all = [...sessions.values()];
  sessions.clear();
  // All are begun before anything is waited for: at the end of the thread nothing that is waited for comes.
  await Promise.all(all.map((session) => session.release()));
}

// However the thread ends, by an error that nobody caught or by process.exit: what sessions hold is not on V8's heap, which
// is all that goes with it for certain.
process.once('exit', () => void releaseAll());

// One message after another: a session must not be released under a run.
let queue: Promise<void> = start();
port.on('message', (message: ToThread) => {
  queue = queue.then(() => handle(message));
});

async function start(): Promise<void> {
  try {
    let loaded = 0;
    for (const { key, shape, classes } of options.graphs) {
      if (kept?.has(key) === false) continue;
      // Ready means warm: the first run pages the weights in and is up to three times as slow.
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
