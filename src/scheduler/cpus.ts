/**
 * The CPUs of this service, and what else uses them. Networks run on the CPUs that also read, decode and answer requests:
 * a plan that counts networks only makes everything else wait, where no plan sees it.
 */
import type { Cpus } from '../plan/snapshot.js';
import { TUNING } from '../plan/tuning.js';

/** Weight of the newest sample. */
const NEWEST = 0.3;
/** With fewer arrivals a sample says nothing about one of them. */
const ENOUGH_ARRIVALS = 10;
/** What was used since the sample before, in ms of one CPU. */
export interface CpuSample {
  readonly wallMs: number;
  /** By this service: decoding and networks included. */
  readonly serviceMs: number;
  /** By decoding and networks, as the latency model has it. */
  readonly plannedMs: number;
  /** By everything on this host, this service included; undefined where that cannot be told or the CPUs are not all ours. */
  readonly hostMs: number | undefined;
  /** Pictures that came, refused ones too. */
  readonly arrivals: number;
}

export class CpuShare {
  readonly #cpus: number;
  readonly #perRun: number;
  readonly #networks: boolean;
  /** ms of one CPU for a picture that comes, besides its decoding and its network; 0 until it was seen. */
  #overheadMs: number | undefined;
  /** CPUs that others use. */
  #foreign = 0;

  /** cpus: that this service may use. perRun: ONNX threads. networks: whether they run on these CPUs. */
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

  /** arrivalsPerMs: pictures that come now; each of them is read, and perhaps refused, before any that waits goes on. */
  now(arrivalsPerMs: number, answerShare = TUNING.answerShare): Cpus {
    const overheadMs = this.#overheadMs ?? 0;
    const answerMs = answerShare * overheadMs;
    const reading = arrivalsPerMs * (overheadMs - answerMs);
    const count = Math.max(0, this.#cpus - this.#foreign - reading);
    return { count, answerMs, perRun: this.#perRun, networks: this.#networks };
  }
}
