/** Pure: who takes part, with which settings each of them is tried, and what the requests to each are. */
import type { Job, Picture } from '../load/job.js';
import { requests } from '../load/setup.js';
import { type Peer, PROTOCOLS } from './protocols.js';

/** Of every request, by the client's clock and from when it should have been sent. */
export const DEADLINE_MS = 100;

export interface Setting {
  /** As in the table. */
  readonly name: string;
  /** Of a peer's process: what bento_app.py, litserve_app.py and model.py read. */
  readonly environment: Readonly<Record<string, string>>;
  /** What is left of the deadline for the service itself, as dimmer is told. */
  readonly latencyMs?: number;
}

export interface Server {
  readonly name: string;
  /** Undefined of dimmer. */
  readonly peer?: Peer;
  /** The only one that answers; undefined where the server chooses. */
  readonly instance?: string;
  /** How people start it, as in the table. */
  readonly command: string;
  /** The best in a short try is kept. */
  readonly settings: readonly Setting[];
}

/** The rest of the deadline is for the way there and back, and for a client that shares the CPUs. */
const dimmerSettings: readonly Setting[] = [90, 80].map((latencyMs) => ({
  name: `latency=${latencyMs}`,
  environment: {},
  latencyMs,
}));

/**
 * Its guide advises one worker for each CPU where Python is the limit, and a latency that fits the promise: what cannot be
 * in time then is refused. One worker with all ONNX threads is the other way to use all CPUs.
 */
const bento = (workers: number, cpus: number, batch: number, latencyMs: number): Setting => ({
  name: `workers=${workers}, ONNX threads ${threadsOf(workers, cpus)}, max_batch_size=${batch}, max_latency_ms=${latencyMs}`,
  environment: {
    WORKERS: `${workers}`,
    THREADS: `${threadsOf(workers, cpus)}`,
    MAX_BATCH: `${batch}`,
    MAX_LATENCY_MS: `${latencyMs}`,
  },
});

interface LitServe {
  readonly workers: number;
  readonly batch: number;
  /** How long a batch waits for more pictures. */
  readonly waitMs: number;
  /** A request that has waited longer is refused; by default 30 s. */
  readonly timeoutMs: number;
  /** ZeroMQ between its processes in place of a manager's queues. */
  readonly fast: boolean;
}

const litserve = (cpus: number, { workers, batch, waitMs, timeoutMs, fast }: LitServe): Setting => ({
  name: [
    `workers_per_device=${workers}, ONNX threads ${threadsOf(workers, cpus)}`,
    `max_batch_size=${batch}, batch_timeout=${waitMs / 1000}, timeout=${timeoutMs / 1000}`,
    ...(fast ? ['fast_queue'] : []),
  ].join(', '),
  environment: {
    WORKERS: `${workers}`,
    THREADS: `${threadsOf(workers, cpus)}`,
    MAX_BATCH: `${batch}`,
    BATCH_TIMEOUT_S: `${waitMs / 1000}`,
    TIMEOUT_S: `${timeoutMs / 1000}`,
    FAST_QUEUE: fast ? '1' : '0',
  },
});

const threadsOf = (workers: number, cpus: number) => Math.max(1, Math.floor(cpus / workers));

/** In the order of the table. full: the id of the instance that peers serve. */
export function serversFor(cpus: number, full: string): Server[] {
  const each = { batch: 8, waitMs: 2, timeoutMs: 60, fast: false };
  return [
    { name: 'dimmer', command: 'npm start', settings: dimmerSettings },
    { name: `dimmer, ${full} pinned`, instance: full, command: 'npm start', settings: dimmerSettings },
    {
      name: 'BentoML',
      peer: 'bentoml',
      instance: full,
      command: 'bentoml serve bento_app:Classify',
      settings: [bento(cpus, cpus, 8, 60), bento(cpus, cpus, 8, 90), bento(1, cpus, 8, 60), bento(1, cpus, 32, 90)],
    },
    {
      name: 'LitServe',
      peer: 'litserve',
      instance: full,
      command: 'python litserve_app.py',
      settings: [
        litserve(cpus, { ...each, workers: cpus }),
        litserve(cpus, { ...each, workers: 1 }),
        litserve(cpus, { ...each, workers: 1, timeoutMs: 30_000 }),
        litserve(cpus, { ...each, workers: 1, waitMs: 10, fast: true }),
      ],
    },
  ];
}

type Requests = Pick<Job, 'path' | 'headers' | 'closedHeaders' | 'pictures' | 'timeoutMs' | 'peer'>;

/** What is asked of a server with this setting. model: the family's name. */
export function requestsTo(
  { peer, instance }: Server,
  { latencyMs }: Setting,
  { model, pictures }: { model: string; pictures: readonly Picture[] },
): Requests {
  const ours = requests(
    { model: { name: model }, pictures },
    { instance, ...(latencyMs !== undefined && { latencyMs }) },
  );
  if (peer === undefined) return ours;
  const headers = { 'Content-Type': PROTOCOLS[peer].contentType };
  return { ...ours, peer, path: PROTOCOLS[peer].path, headers, closedHeaders: headers };
}
