/** What the plan is made from: all pictures that are admitted and not running, and what there is to serve them with. */
import type { Instance } from '../family/instance.js';
import type { LatencyModel, Times } from '../latency/model.js';
import type { CpuMs, WallMs } from '../latency/units.js';
import type { Tuning } from './tuning.js';

/** The batch sizes that run, smallest first: few, so that each can be warmed. */
export const BATCH_SIZES = [1, 2, 4, 8] as const;
export const MAX_BATCH = 8;

/** What a picture waits for next. */
export type Stage = 'encoded' | 'decoding' | 'decoded';

/** A picture that is admitted and not running. */
export interface Waiting {
  readonly stage: Stage;
  /** Most accurate first, never empty, all of one family; lists that are equal are the same object. */
  readonly allowed: readonly Instance[];
  /** When the logits must be there, in the clock's ms; Infinity if there is no deadline. */
  readonly deadlineMs: number;
  readonly strict: boolean;
  /** Its deadline cannot be met any more, and it is not strict: it runs after all that can be in time. */
  readonly bestEffort: boolean;
  readonly arrivalMs: number;
  /** Of decoding it. */
  readonly decode: Times;
  /** A photograph: the decoder takes fewer of these at once than of others. */
  readonly long: boolean;
}

/** Pictures that the decoder would begin at once: any, of which long ones at most. */
export interface DecodePlaces {
  readonly short: number;
  readonly long: number;
}

/** Whether the decoder would begin this picture at once. */
export const couldBeDecoded = ({ stage, long }: Waiting, places: DecodePlaces): boolean =>
  stage === 'encoded' && (long ? places.long : places.short) > 0;

/** The CPUs, and what else they do. */
export interface Cpus {
  /** CPUs that this service has for pictures that are admitted. */
  readonly count: number;
  /** CPU time of answering a picture, besides its decoding and its network. */
  readonly answerMs: CpuMs;
  /** CPUs that one run uses: ONNX threads. */
  readonly perRun: number;
  /** Whether networks run on these CPUs; if not, they have a device of their own. */
  readonly networks: boolean;
}

/** A batch under way. */
export interface Running {
  readonly startMs: number;
  /** When it should end, on average. */
  readonly endMs: number;
  /** Of all of it. */
  readonly cpuMs: CpuMs;
}

export interface Snapshot<W extends Waiting = Waiting> {
  readonly nowMs: number;
  /** In order of `byRank`. */
  readonly waiting: readonly W[];
  readonly running: readonly Running[];
  /** Engine threads alive, at least 1. */
  readonly threads: number;
  readonly idleThreads: number;
  readonly decodePlaces: DecodePlaces;
  readonly cpus: Cpus;
  /** Pictures expected to come, in 1/ms. */
  readonly arrivalsPerMs: number;
  /** Variance over mean of how many come in a while: 1 for a Poisson process, more for bursts. */
  readonly dispersion: number;
  /** Factor on the time that pictures ahead take, learnt from deadlines missed: see scheduler/margin.ts. */
  readonly margin: number;
  readonly latency: Pick<LatencyModel, 'run'>;
  readonly tuning: Tuning;
}

/** A picture without a deadline has its turn as if it were due so long after its arrival. */
const NO_DEADLINE_MS = 1000;

/** Place in the queue, smallest first: earliest deadline first (EDF), best effort after all others. */
export function rankOf({
  bestEffort,
  deadlineMs,
  arrivalMs,
}: Pick<Waiting, 'bestEffort' | 'deadlineMs' | 'arrivalMs'>): number {
  if (bestEffort) return Number.POSITIVE_INFINITY;
  return deadlineMs === Number.POSITIVE_INFINITY ? arrivalMs + NO_DEADLINE_MS : deadlineMs;
}

/** By rank, then by arrival. */
export function byRank(a: Waiting, b: Waiting): number {
  const x = rankOf(a);
  const y = rankOf(b);
  return x === y ? a.arrivalMs - b.arrivalMs : x - y;
}

/** The allowed instance that runs alone the fastest. */
export function fastest(allowed: readonly Instance[], latency: Snapshot['latency']): Instance {
  return allowed.reduce((a, b) => (latency.run(b.key, 1).meanMs < latency.run(a.key, 1).meanMs ? b : a));
}

/** A service without a CPU of its own still has some: no division by 0. */
const LEAST_CPUS = 0.01;

/** CPU time of some pictures: of their networks, and of all else. */
export interface Work {
  readonly network: CpuMs;
  readonly other: CpuMs;
}

/** Time until so much work is done: all of it shares the CPUs, and networks have only their threads. */
export const drainMs = ({ cpus, threads }: Pick<Snapshot, 'cpus' | 'threads'>, { network, other }: Work): WallMs =>
  Math.max(
    ((cpus.networks ? network : 0) + other) / Math.max(LEAST_CPUS, cpus.count),
    network / (threads * cpus.perRun),
  );

/** CPU time that the batches under way still take. */
export function runningMs({ nowMs, running }: Pick<Snapshot, 'nowMs' | 'running'>): CpuMs {
  let ms = 0;
  for (const { startMs, endMs, cpuMs } of running) ms += (cpuMs * Math.max(0, endMs - nowMs)) / (endMs - startMs);
  return ms;
}

/** Pictures that are being decoded, and whether they and the batches under way keep all CPUs busy. */
export function cpuUse({ waiting, running, cpus }: Pick<Snapshot, 'waiting' | 'running' | 'cpus'>) {
  let decoding = 0;
  for (const { stage } of waiting) if (stage === 'decoding') decoding += 1;
  const used = decoding + (cpus.networks ? running.length * cpus.perRun : 0);
  return { decoding, busy: used > 0 && used >= cpus.count }; // a host without a CPU for us goes on all the same
}

/** CPU time that a picture still takes besides its network. */
export const otherMs = (w: Waiting, { answerMs }: Cpus): CpuMs =>
  answerMs + (w.stage === 'decoded' ? 0 : w.decode.cpuMs);

/** Time that its own decoding still takes, on average. */
export const remainingDecodeMs = ({ stage, decode }: Waiting): number => (stage === 'decoded' ? 0 : decode.meanMs);
