/**
 * The service in virtual time. Scheduler, plan, latency model and CPU measurement are the service's own code. Decoder
 * and engine are simulated: they take CPU time on the simulated CPUs, and so do HTTP and the client. Run times are
 * drawn from a table.
 */
import { DimmerError } from '../../src/errors.js';
import type { Instance } from '../../src/family/instance.js';
import { peek } from '../../src/image/peek.js';
import { baselinesOf, type RunSamples } from '../../src/latency/baselines.js';
import { measuredSizes } from '../../src/latency/measure.js';
import { type Latency, LatencyModel } from '../../src/latency/model.js';
import { Listeners } from '../../src/listeners.js';
import { seeded, seedFor } from '../../src/load/random.js';
import type { Tuning } from '../../src/plan/tuning.js';
import { CpuShare } from '../../src/scheduler/cpus.js';
import type { Decoding, Networks } from '../../src/scheduler/pipeline.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { BATCH_SIZES } from '../batch-sizes.js';
import type { Contender } from '../policies/contender.js';
import { Seat } from '../policies/seat.js';
import { Cpus, EventLoop } from './cpus.js';
import { instancesOf, type Overhead, type Table } from './table.js';

export interface Host {
  readonly table: Table;
  /** As `servedFrom` returns them; the plan compares instances by identity. */
  readonly instances: readonly Instance[];
  readonly cpus: number;
  readonly overhead: Overhead;
}

export interface Load {
  readonly arrivalsMs: readonly number[];
  /** Latency in the budget of every request, counted from the time it was read. */
  readonly latencyMs: number;
  readonly strict: boolean;
  readonly seed: number;
  /** Id of the instance that all requests pin. */
  readonly instance?: string | undefined;
  /** Replaces the service's own choice of runs. */
  readonly contender?: Contender | undefined;
  /** Replaces the service's own constants. */
  readonly tuning?: Tuning | undefined;
}

export interface Answer {
  readonly instance?: Instance;
  readonly inTime: boolean;
  /** Code of the problem, if the request was refused. */
  readonly code?: string;
}

/** Interval between CPU samples, as in src/cpu-watch.ts. */
const CPU_SAMPLE_MS = 250;
const MAX_QUEUE = 1024;
/** Default of the environment variable MAX_WAIT_MS. */
const MAX_WAIT_MS = 10_000;
const PICTURE = new Uint8Array(2500);
/** Any resize rule will do, as no picture is really decoded. */
const RESIZE = { size: 1, crop: 1, kernel: 'nearest', alpha: 'drop' } as const;

/** The instances of a table; their `key` is the id under which the table has their samples. */
export const servedFrom = (table: Table): Instance[] => instancesOf(table).map((i) => ({ ...i, key: i.id }));

/** Plays a load; returns the answers in the order of arrival. Raises the first error that a plan throws. */
export async function serve(host: Host, load: Load): Promise<Answer[]> {
  const { table, instances, cpus: count, overhead } = host;
  const { latencyMs, strict, contender, tuning, seed } = load;
  const cpus = new Cpus(count);
  const latency = modelOf(table, overhead.decode, () => cpus.now());
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
    decoder: virtualDecoder(cpus, count, overhead.decode),
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
    await client.do(overhead.client / 2);
    await http.do(overhead.http / 2);
    const startMs = cpus.now();
    const order = { allowed, family: table.family, resize: RESIZE, latencyMs, strict, bestEffort: false, startMs };
    const pictures = { images: [PICTURE], signal: new AbortController().signal, decoded: () => {} };
    try {
      const [outcome] = await scheduler.classify(order, pictures);
      await http.do(overhead.http / 2);
      void client.do(overhead.client / 2);
      return { instance: outcome?.instance as Instance, inTime: cpus.now() - startMs <= latencyMs };
    } catch (error) {
      if (!(error instanceof DimmerError)) throw error;
      await http.do(overhead.http / 4);
      return { inTime: false, code: error.code };
    }
  };

  const answers: Promise<Answer>[] = [];
  const { arrivalsMs } = load;
  // Each arrival sets the timer of the next one, so that few timers are set at once.
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
  if (faults.length) throw faults[0]; // the service would go on with its fallback plan, which is not to be measured
  return Promise.all(answers);
}

/** The latency model after the measurement at start, with the table's samples and `decodeMs` for every decode. */
function modelOf({ family, samples }: Table, decodeMs: number, now: () => number): Latency {
  const measured: RunSamples = Object.fromEntries(
    Object.entries(samples).map(([id, sizes]) => [
      id,
      Object.fromEntries(measuredSizes(BATCH_SIZES).map((size) => [size, sizes[size] ?? []])),
    ]),
  );
  const decode = { families: { [family]: decodeMs }, kinds: { [peek(PICTURE).kind]: 0 } };
  return LatencyModel.from({ ...baselinesOf(measured), ...decode }, now);
}

/** A decoder with the number of processes of src/image/decoder.ts; each decode takes `decodeMs` of CPU. */
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
      idle.tell(); // as in the service, before the picture is handed over
      return { pixels: PICTURE, ms: cpus.now() - startMs };
    },
  };
}

/** Engine threads; each run takes the CPU time of a random sample in the table. */
function virtualEngine({ table }: Host, cpus: Cpus, seed: number, seat: Seat | undefined): Networks {
  const random = seeded(seedFor(seed, 'durations'));
  const idle = new Listeners();
  let free = table.threads;
  const run = async ({ id }: Instance, size: number): Promise<void> => {
    free -= 1;
    const samples = table.samples[id]?.[size] ?? [];
    await cpus.work(samples[Math.floor(random() * samples.length)] as number);
    free += 1;
    idle.tell(); // as in the service, before the answers are handed over
  };
  return {
    batchSizes: BATCH_SIZES,
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

/** Samples CPU use for `share` until `endMs`, as src/cpu-watch.ts does. */
function watchCpus(cpus: Cpus, share: CpuShare, scheduler: Scheduler, endMs: number): void {
  const read = () => ({ wallMs: cpus.now(), serviceMs: cpus.busyMs, ...scheduler.spent });
  let before = read();
  const sample = () => {
    const now = read();
    const serviceMs = now.serviceMs - before.serviceMs;
    share.update({
      wallMs: now.wallMs - before.wallMs,
      serviceMs,
      hostMs: serviceMs, // the client's CPU use counts as the service's: it also grows with the number of pictures
      plannedMs: now.plannedMs - before.plannedMs,
      arrivals: now.arrivals - before.arrivals,
    });
    before = now;
    if (cpus.now() < endMs) cpus.after(CPU_SAMPLE_MS, sample);
  };
  cpus.after(CPU_SAMPLE_MS, sample);
}
