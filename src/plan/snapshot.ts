/**
 * The input of the plan: all admitted pictures that are not running yet, and the CPUs and threads that can serve them.
 */
import type { Instance } from '../family/instance.js';
import type { LatencyModel, Times } from '../latency/model.js';
import type { CpuMs, WallMs } from '../latency/units.js';
import type { Tuning } from './tuning.js';

/** encoded: waits for a decoder; decoding: is being decoded; decoded: waits for a run. */
export type Stage = 'encoded' | 'decoding' | 'decoded';

/** A picture that is admitted and not running. */
export interface Waiting {
  readonly stage: Stage;
  /**
   * Instances that may answer the picture: most accurate first, never empty, of one family. Equal lists are the same
   * object.
   */
  readonly allowed: readonly Instance[];
  /** When the logits must be ready, in the clock's ms; Infinity if there is no deadline. */
  readonly deadlineMs: number;
  readonly strict: boolean;
  /** Not strict, and its deadline was given up: it runs after all pictures that can be in time. */
  readonly bestEffort: boolean;
  /** When the picture was admitted, in the clock's ms. */
  readonly arrivalMs: number;
  /** Predicted times of the decode. */
  readonly decode: Times;
  /** Whether its decode is long (a photograph, not a thumbnail): the decoder takes fewer of these at once. */
  readonly long: boolean;
}

/** How many more pictures the decoder would begin at once. */
export interface DecodePlaces {
  /** Pictures of any kind. */
  readonly short: number;
  /** How many of those pictures may be long. */
  readonly long: number;
}

/** Whether the decoder would begin this picture at once. */
export const couldBeDecoded = ({ stage, long }: Waiting, places: DecodePlaces): boolean =>
  stage === 'encoded' && (long ? places.long : places.short) > 0;

/** The CPUs that pictures can use. */
export interface Cpus {
  /** CPUs left for admitted pictures (may be fractional): those of the service less other load (scheduler/cpus.ts). */
  readonly count: number;
  /** CPU overhead of answering a picture: all but its decode and its network. */
  readonly answerMs: CpuMs;
  /** CPUs that one run uses: ONNX threads. */
  readonly perRun: number;
  /** Whether networks run on these CPUs; if not, they have a device of their own. */
  readonly networks: boolean;
}

/** A batch under way. */
export interface Running {
  readonly startMs: number;
  /** Start plus the mean wall time of such a run. */
  readonly endMs: number;
  /** CPU time of the whole run. */
  readonly cpuMs: CpuMs;
}

export interface Snapshot<W extends Waiting = Waiting> {
  readonly nowMs: number;
  /** Sorted by `byRank`. */
  readonly waiting: readonly W[];
  readonly running: readonly Running[];
  /** The sizes that a batch may have on this device, smallest first; the first is 1. */
  readonly batchSizes: readonly number[];
  /** Engine threads alive, at least 1. */
  readonly threads: number;
  readonly idleThreads: number;
  readonly decodePlaces: DecodePlaces;
  readonly cpus: Cpus;
  /** Pictures expected to come, in 1/ms. */
  readonly arrivalsPerMs: number;
  /** Mean squared error of the arrival forecast over its mean: 1 for a Poisson process, more for bursts. */
  readonly dispersion: number;
  /** Factor of admission on the time that pictures ahead take; learnt from deadline misses (scheduler/margin.ts). */
  readonly margin: number;
  readonly latency: Pick<LatencyModel, 'run'>;
  readonly tuning: Tuning;
}

/** A picture without a deadline is queued as if it were due this long after its arrival. */
const NO_DEADLINE_MS = 1000;

/** Sort key of the queue, smallest first: earliest deadline first (EDF), best effort after all others. */
export function rankOf({
  bestEffort,
  deadlineMs,
  arrivalMs,
}: Pick<Waiting, 'bestEffort' | 'deadlineMs' | 'arrivalMs'>): number {
  if (bestEffort) return Number.POSITIVE_INFINITY;
  return deadlineMs === Number.POSITIVE_INFINITY ? arrivalMs + NO_DEADLINE_MS : deadlineMs;
}

/** Comparison function of the queue: by rank, then by arrival. */
export function byRank(a: Waiting, b: Waiting): number {
  const x = rankOf(a);
  const y = rankOf(b);
  return x === y ? a.arrivalMs - b.arrivalMs : x - y;
}

/** The size of the largest batch that this device runs. */
export const fullBatch = ({ batchSizes }: Pick<Snapshot, 'batchSizes'>): number => batchSizes.at(-1) ?? 1;

/** The allowed instance with the smallest mean wall time for a run of one picture. */
export function fastest(allowed: readonly Instance[], latency: Snapshot['latency']): Instance {
  return allowed.reduce((a, b) => (latency.run(b.key, 1).meanMs < latency.run(a.key, 1).meanMs ? b : a));
}

/** The smallest number of CPUs to divide by, when other load leaves none. */
const LEAST_CPUS = 0.01;

/** CPU time of some pictures: of their networks, and of everything else (decoding, answering). */
export interface Work {
  readonly network: CpuMs;
  readonly other: CpuMs;
}

/**
 * Wall time until this work is done. All of it shares the CPUs; network work cannot use more than the engine threads;
 * the larger of the two times counts.
 */
export const drainMs = ({ cpus, threads }: Pick<Snapshot, 'cpus' | 'threads'>, { network, other }: Work): WallMs =>
  Math.max(
    ((cpus.networks ? network : 0) + other) / Math.max(LEAST_CPUS, cpus.count),
    network / (threads * cpus.perRun),
  );

/** CPU time that the running batches still take. */
export function runningMs({ nowMs, running }: Pick<Snapshot, 'nowMs' | 'running'>): CpuMs {
  let ms = 0;
  for (const { startMs, endMs, cpuMs } of running) ms += (cpuMs * Math.max(0, endMs - nowMs)) / (endMs - startMs);
  return ms;
}

/** How many pictures are being decoded, and whether decodes and running batches use all CPUs. */
export function cpuUse({ waiting, running, cpus }: Pick<Snapshot, 'waiting' | 'running' | 'cpus'>) {
  let decoding = 0;
  for (const { stage } of waiting) if (stage === 'decoding') decoding += 1;
  const used = decoding + (cpus.networks ? running.length * cpus.perRun : 0);
  return { decoding, busy: used > 0 && used >= cpus.count }; // used > 0: with no CPU left, work must still begin
}

/** CPU time that a picture still takes outside its network: its decode, unless done, and its answer. */
export const otherMs = (w: Waiting, { answerMs }: Cpus): CpuMs =>
  answerMs + (w.stage === 'decoded' ? 0 : w.decode.cpuMs);

/** Mean wall time of a picture's decode; 0 once it is decoded. */
export const remainingDecodeMs = ({ stage, decode }: Waiting): number => (stage === 'decoded' ? 0 : decode.meanMs);
