/**
 * The service in virtual time: its own scheduler, plan, latency model and view of the CPUs, with a decoder and an engine
 * that take CPU as the real ones do. HTTP and the client take what they are said to, of the same CPUs.
 */
import { DimmerError } from '../../src/errors.js';
import type { Instance } from '../../src/family/instance.js';
import { peek } from '../../src/image/peek.js';
import { baselinesOf, type RunSamples } from '../../src/latency/baselines.js';
import { MEASURED_SIZES } from '../../src/latency/measure.js';
import { type Latency, LatencyModel } from '../../src/latency/model.js';
import { Listeners } from '../../src/listeners.js';
import { seeded, seedFor } from '../../src/load/random.js';
import type { Tuning } from '../../src/plan/tuning.js';
import { CpuShare } from '../../src/scheduler/cpus.js';
import type { Decoding, Networks } from '../../src/scheduler/pipeline.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import type { Contender } from '../policies/contender.js';
import { Seat } from '../policies/seat.js';
import { Cpus, EventLoop } from './cpus.js';
import { type Besides, instancesOf, type Table } from './table.js';

export interface Host {
  readonly table: Table;
  /** Of `servedFrom`; the plan knows them by identity. */
  readonly instances: readonly Instance[];
  readonly cpus: number;
  readonly besides: Besides;
}

export interface Load {
  readonly arrivalsMs: readonly number[];
  /** Of every request, from when it was read. */
  readonly latencyMs: number;
  readonly strict: boolean;
  readonly seed: number;
  /** All requests name it. */
  readonly instance?: string | undefined;
  /** In the place of the service's own choice of runs. */
  readonly contender?: Contender | undefined;
  /** In the place of the service's own constants. */
  readonly tuning?: Tuning | undefined;
}

export interface Answer {
  readonly instance?: Instance;
  readonly inTime: boolean;
  /** Of the problem, if there was no answer. */
  readonly code?: string;
}

/** As in src/cpu-watch.ts. */
const CPU_SAMPLE_MS = 250;
const MAX_QUEUE = 1024;
/** As MAX_WAIT_MS. */
const MAX_WAIT_MS = 10_000;
const PICTURE = new Uint8Array(2500);
/** Nothing is resized. */
const RESIZE = { size: 1, crop: 1, kernel: 'nearest', alpha: 'drop' } as const;

/** Those of a table, under the names that its samples have. */
export const servedFrom = (table: Table): Instance[] => instancesOf(table).map((i) => ({ ...i, key: i.id }));

/** Answers in the order of arrival. Raises what a plan raises. */
export async function serve(host: Host, load: Load): Promise<Answer[]> {
  const { table, instances, cpus: count, besides } = host;
  const { latencyMs, strict, contender, tuning, seed } = load;
  const cpus = new Cpus(count);
  const latency = modelOf(table, besides.decode, () => cpus.now());
  const seat =
    contender &&
    new Seat(
      contender,
      () => instances,
      () => cpus.now(),
    );
  const share = new CpuShare(count, 1);
  const faults: unknown[] = [];
  const scheduler = new Scheduler({
    engine: virtualEngine(host, cpus, seed, seat),
    decoder: virtualDecoder(cpus, count, besides.decode),
    latency,
    clock: cpus,
    cpus: share,
    maxQueue: MAX_QUEUE,
    maxWaitMs: MAX_WAIT_MS,
    onFault: (error) => faults.push(error),
    ...(seat && { next: seat.next }),
    ...(tuning && { tuning }),
  });
  const [client, http] = [new EventLoop(cpus), new EventLoop(cpus)];
  const allowed = instances.filter((i) => load.instance === undefined || i.id === load.instance);

  const request = async (): Promise<Answer> => {
    await client.do(besides.client / 2);
    await http.do(besides.http / 2);
    const startMs = cpus.now();
    const order = { allowed, family: table.family, resize: RESIZE, latencyMs, strict, bestEffort: false, startMs };
    const pictures = { images: [PICTURE], signal: new AbortController().signal, decoded: () => {} };
    try {
      const [outcome] = await scheduler.classify(order, pictures);
      await http.do(besides.http / 2);
      void client.do(besides.client / 2);
      return { instance: outcome?.instance as Instance, inTime: cpus.now() - startMs <= latencyMs };
    } catch (error) {
      if (!(error instanceof DimmerError)) throw error;
      await http.do(besides.http / 4);
      return { inTime: false, code: error.code };
    }
  };

  const answers: Promise<Answer>[] = [];
  const { arrivalsMs } = load;
  // One after another, so that few timers wait at once.
  const arrive = () => {
    if (answers.length === arrivalsMs.length) return;
    cpus.after((arrivalsMs[answers.length] as number) - cpus.now(), () => {
      answers.push(request());
      arrive();
    });
  };
  arrive();
  watchCpus(cpus, share, scheduler, (arrivalsMs.at(-1) ?? 0) + latencyMs);
  await cpus.run();
  if (faults.length) throw faults[0]; // the service would go on in a simple way, which is not what is measured
  return Promise.all(answers);
}

/** As it is after the measurement at start, in which decoding took what it does here, whatever the picture. */
function modelOf({ family, samples }: Table, decodeMs: number, now: () => number): Latency {
  const measured: RunSamples = Object.fromEntries(
    Object.entries(samples).map(([id, sizes]) => [
      id,
      Object.fromEntries(MEASURED_SIZES.map((size) => [size, sizes[size] ?? []])),
    ]),
  );
  const decode = { families: { [family]: decodeMs }, kinds: { [peek(PICTURE).kind]: 0 } };
  return LatencyModel.from({ ...baselinesOf(measured), ...decode }, now);
}

/** As many at once as src/image/decoder.ts. */
function virtualDecoder(cpus: Cpus, count: number, decodeMs: number): Decoding {
  const idle = new Listeners();
  let free = count + 1;
  return {
    get places() {
      return { short: free, long: Math.max(0, free - 1) };
    },
    onIdle: (callback) => idle.add(callback),
    async decode() {
      free -= 1;
      const startMs = cpus.now();
      await cpus.work(decodeMs);
      free += 1;
      idle.tell(); // before the picture is there, as in the service
      return { pixels: PICTURE, ms: cpus.now() - startMs };
    },
  };
}

/** Every run takes CPU as one of the measured ones did. */
function virtualEngine({ table }: Host, cpus: Cpus, seed: number, seat: Seat | undefined): Networks {
  const random = seeded(seedFor(seed, 'durations'));
  const idle = new Listeners();
  let free = table.threads;
  const run = async ({ id }: Instance, size: number): Promise<void> => {
    free -= 1;
    const samples = table.samples[id]?.[size] ?? [];
    await cpus.work(samples[Math.floor(random() * samples.length)] as number);
    free += 1;
    idle.tell(); // before the answers are there, as in the service
  };
  return {
    threads: table.threads,
    keeps: () => true,
    get idle() {
      return free;
    },
    onIdle: (callback) => idle.add(callback),
    async run(instance, pictures) {
      const begin = () => run(instance, pictures.length);
      await (seat ? seat.run(begin) : begin());
      return pictures.map(() => new Float32Array(1));
    },
  };
}

function watchCpus(cpus: Cpus, share: CpuShare, scheduler: Scheduler, endMs: number): void {
  const read = () => ({ wallMs: cpus.now(), serviceMs: cpus.busyMs, ...scheduler.spent });
  let before = read();
  const sample = () => {
    const now = read();
    const serviceMs = now.serviceMs - before.serviceMs;
    share.update({
      wallMs: now.wallMs - before.wallMs,
      serviceMs,
      hostMs: serviceMs, // the client counts as ours: it too has work for each picture
      plannedMs: now.plannedMs - before.plannedMs,
      arrivals: now.arrivals - before.arrivals,
    });
    before = now;
    if (cpus.now() < endMs) cpus.after(CPU_SAMPLE_MS, sample);
  };
  cpus.after(CPU_SAMPLE_MS, sample);
}
