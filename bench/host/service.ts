/**
 * The service on simulated CPUs: its own scheduler, decode stage, latency model and view of the CPUs, in virtual time.
 * Networks take what was measured of them; HTTP, decoding and the client take what they are said to, of the same CPUs.
 */
import type { Engine } from '../../src/engine/engine.js';
import { DimmerError } from '../../src/errors.js';
import type { Instance } from '../../src/family/instance.js';
import { Decoder } from '../../src/image/decoder.js';
import type { DecodingProcess } from '../../src/image/process.js';
import { baselinesOf } from '../../src/latency/baselines.js';
import { LatencyModel } from '../../src/latency/model.js';
import { Capacity } from '../../src/scheduler/capacity.js';
import { DecodeStage } from '../../src/scheduler/decoding.js';
import { Scheduler, type SchedulerOptions } from '../../src/scheduler/scheduler.js';
import { seeded, seedFor } from '../simulate/random.js';
import { instancesOf, type Table } from '../simulate/table.js';
import { Cpus, EventLoop } from './cpus.js';

/** ms of CPU for each picture, besides its network. */
export interface Besides {
  /** The load generator, on the same host. */
  readonly client: number;
  /** The service's event loop: half before the picture is decoded, half for the answer. */
  readonly http: number;
  readonly decode: number;
}

export interface Host {
  readonly table: Table;
  /** Of `servedFrom`; policies know them by identity. */
  readonly instances: readonly Instance[];
  readonly cpus: number;
  readonly besides: Besides;
}

export interface Load {
  readonly arrivalsMs: readonly number[];
  /** Of every request, strict, from when it was read. */
  readonly latencyMs: number;
  readonly seed: number;
  /** All requests name it. */
  readonly instance?: string | undefined;
  readonly policy?: SchedulerOptions['policy'] | undefined;
}

export interface Answer {
  readonly instance?: Instance;
  readonly inTime: boolean;
  /** Of the problem, if there was no answer. */
  readonly code?: string;
}

/** As in src/app.ts. */
const CPU_SAMPLE_MS = 250;
const MAX_QUEUE = 1024;
const FAMILY = 'any';
const PICTURE = new Uint8Array(2500);
/** Nothing is resized. */
const RESIZE = { size: 1, crop: 1, kernel: 'nearest', alpha: 'drop' } as const;

/** Those of a table, under the names that its samples have. */
export const servedFrom = (table: Table): Instance[] => instancesOf(table).map((i) => ({ ...i, key: i.id }));

/** Answers in the order of arrival. Raises what a policy raises. */
export async function serve(host: Host, load: Load): Promise<Answer[]> {
  const { table, instances, cpus: count, besides } = host;
  const cpus = new Cpus(count);
  const decodes = { family: FAMILY, kind: 'JPEG', megapixels: 1e-6, ms: [besides.decode] } as const;
  const model = LatencyModel.from(baselinesOf(table.samples, [decodes]), () => cpus.now());
  const capacity = new Capacity(count, 1);
  const engine = simulatedEngine(host, cpus, load.seed);
  const faults: unknown[] = [];
  const scheduler = new Scheduler({
    engine,
    model,
    clock: cpus,
    maxQueue: MAX_QUEUE,
    capacity,
    onFault: (error) => faults.push(error),
    ...(load.policy && { policy: load.policy }),
  });
  const decoder = new Decoder({
    maxPixels: Number.POSITIVE_INFINITY,
    maxBytes: Number.POSITIVE_INFINITY,
    timeoutMs: Number.POSITIVE_INFINITY,
    cpus: count,
    clock: cpus,
    start: () => simulatedProcess(cpus, besides.decode),
  });
  await decoder.start();
  const decoding = new DecodeStage(decoder, count, model, Number.POSITIVE_INFINITY);
  scheduler.onQueue = (waiting) => decoding.ahead(waiting, engine.threads);
  const [client, http] = [new EventLoop(cpus), new EventLoop(cpus)];
  const allowed = instances.filter((i) => load.instance === undefined || i.id === load.instance);

  const request = async (): Promise<Answer> => {
    await client.do(besides.client / 2);
    await http.do(besides.http / 2);
    const startMs = cpus.now();
    const order = { allowed, latencyMs: load.latencyMs, strict: true, late: false, startMs };
    try {
      const admission = scheduler.admit(order, 1, decoding.expectMs(PICTURE, FAMILY) + decoding.backlogMs);
      try {
        const stop = new AbortController();
        const cancel = cpus.after(Math.max(0, admission.lastStartMs - cpus.now()), () =>
          stop.abort(admission.expired()),
        );
        const { pixels } = await decoding.run({ image: PICTURE, family: FAMILY, resize: RESIZE, signal: stop.signal });
        cancel();
        const { instance } = await admission.submit(pixels, new AbortController().signal);
        await http.do(besides.http / 2);
        void client.do(besides.client / 2);
        return { instance, inTime: cpus.now() - startMs <= load.latencyMs };
      } finally {
        admission.end();
      }
    } catch (error) {
      if (!(error instanceof DimmerError)) throw error;
      await http.do(besides.http / 4);
      return { inTime: false, code: error.code };
    }
  };

  const answers: Promise<Answer>[] = [];
  for (const atMs of load.arrivalsMs) cpus.after(atMs, () => answers.push(request()));
  watchCpus(cpus, capacity, scheduler, (load.arrivalsMs.at(-1) ?? 0) + load.latencyMs);
  await cpus.run();
  if (faults.length) throw faults[0]; // the service would go on in a simple way, which is not what is measured
  return Promise.all(answers);
}

/** Every decode takes so much CPU. */
function simulatedProcess(cpus: Cpus, decodeMs: number): DecodingProcess {
  return {
    ready: Promise.resolve(),
    ended: new Promise(() => {}),
    cpuMs: 0,
    ask: async () => {
      await cpus.work(decodeMs);
      return { type: 'bytes', bytes: PICTURE.slice() };
    },
    yieldCpu: () => {},
    close: () => {},
    kill: () => {},
  };
}

/** Every run takes CPU as one of the measured ones did. */
function simulatedEngine({ table }: Host, cpus: Cpus, seed: number): Engine {
  const random = seeded(seedFor(seed, 'durations'));
  const { threads } = table;
  let idle = threads;
  let onIdle = () => {};
  const engine: Pick<Engine, 'threads' | 'idle' | 'keeps' | 'onIdle' | 'run'> = {
    threads,
    get idle() {
      return idle;
    },
    keeps: () => true,
    set onIdle(callback: () => void) {
      onIdle = callback;
    },
    async run({ id }, pictures) {
      idle -= 1;
      const samples = table.samples[id]?.[pictures.length] ?? [];
      await cpus.work(samples[Math.floor(random() * samples.length)] as number);
      idle += 1;
      queueMicrotask(onIdle); // answers go first, as in the service
      return pictures.map(() => new Float32Array(1));
    },
  };
  return engine as Engine;
}

function watchCpus(cpus: Cpus, capacity: Capacity, scheduler: Scheduler, endMs: number): void {
  const read = () => ({ wallMs: cpus.now(), processMs: cpus.busyMs, ...scheduler.spent });
  let before = read();
  const sample = () => {
    const now = read();
    const processMs = now.processMs - before.processMs;
    capacity.update({
      wallMs: now.wallMs - before.wallMs,
      processMs,
      hostMs: processMs, // the client counts as ours: it too has work for each picture
      engineMs: now.engineMs - before.engineMs,
      pictures: now.pictures - before.pictures,
    });
    before = now;
    if (cpus.now() < endMs) cpus.after(CPU_SAMPLE_MS, sample);
  };
  cpus.after(CPU_SAMPLE_MS, sample);
}
