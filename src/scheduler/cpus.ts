/**
 * Estimates how many CPUs are left for admitted pictures. Networks share the CPUs with reading, decoding and answering
 * requests, and with other programs. A plan that counted the networks only would overload the CPUs.
 */
import type { Cpus } from '../plan/snapshot.js';
import { TUNING } from '../plan/tuning.js';

/** Smoothing factor of the newest sample. */
const NEWEST = 0.3;
/** A sample with fewer arrivals is too noisy to estimate the overhead of one picture. */
const ENOUGH_ARRIVALS = 10;
/** CPU time used since the previous sample. */
export interface CpuSample {
  /** Wall time since the previous sample. */
  readonly wallMs: number;
  /** CPU time of this service, decoding and networks included. */
  readonly serviceMs: number;
  /** CPU time that decoding and networks should have taken by the latency model. */
  readonly plannedMs: number;
  /**
   * CPU time of the whole host, this service included; undefined if unknown or if the service may not use every CPU.
   */
  readonly hostMs: number | undefined;
  /** Pictures that arrived, refused ones included. */
  readonly arrivals: number;
}

export class CpuShare {
  readonly #cpus: number;
  readonly #perRun: number;
  readonly #networks: boolean;
  /**
   * CPU overhead of one arriving picture: all but its decode and its network. undefined (counts as 0) until measured.
   */
  #overheadMs: number | undefined;
  /** CPUs that other programs use, smoothed. */
  #foreign = 0;

  /**
   * cpus: CPUs that this service may use. perRun: ONNX threads of a run. networks: whether networks run on these CPUs.
   */
  constructor(cpus: number, perRun: number, networks = true) {
    this.#cpus = cpus;
    this.#perRun = perRun;
    this.#networks = networks;
  }

  update({ wallMs, serviceMs, plannedMs, hostMs, arrivals }: CpuSample): void {
    if (wallMs <= 0) return;
    const foreign = hostMs === undefined ? 0 : Math.max(0, hostMs - serviceMs) / wallMs;
    this.#foreign += NEWEST * (foreign - this.#foreign);
    if (arrivals < ENOUGH_ARRIVALS) return;
    const each = Math.max(0, serviceMs - plannedMs) / arrivals;
    this.#overheadMs = this.#overheadMs === undefined ? each : this.#overheadMs + NEWEST * (each - this.#overheadMs);
  }

  /**
   * The CPUs left for admitted pictures. arrivalsPerMs: the present arrival rate; each arriving picture is read, and
   * perhaps refused, before waiting pictures go on. answerShare: see Tuning.
   */
  now(arrivalsPerMs: number, answerShare = TUNING.answerShare): Cpus {
    const overheadMs = this.#overheadMs ?? 0;
    const answerMs = answerShare * overheadMs;
    const reading = arrivalsPerMs * (overheadMs - answerMs);
    const count = Math.max(0, this.#cpus - this.#foreign - reading);
    return { count, answerMs, perRun: this.#perRun, networks: this.#networks };
  }
}
