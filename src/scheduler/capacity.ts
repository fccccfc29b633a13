/**
 * What networks share the CPUs with. They run on the CPUs that also read, decode and answer requests, so the engine
 * threads are not theirs alone: a network that takes all that is left makes everything else wait, and pictures grow old
 * where no policy sees them.
 */

/** Weight of the newest sample. */
const NEWEST = 0.3;
/** With fewer pictures a sample says nothing about one of them. */
const ENOUGH_PICTURES = 10;

/** What was used since the sample before, in ms of one CPU. */
export interface CpuSample {
  readonly wallMs: number;
  /** By this process, networks included. */
  readonly processMs: number;
  /** By networks. */
  readonly engineMs: number;
  /** By everything on this host, this process included; undefined where that cannot be told or the CPUs are not all ours. */
  readonly hostMs: number | undefined;
  readonly pictures: number;
}

export class Capacity {
  readonly #cpus: number;
  readonly #onnxThreads: number;
  /** ms of one CPU for a picture, besides its network; undefined until it was seen. */
  #perPictureMs: number | undefined;
  /** CPUs that others use. */
  #foreignCpus = 0;

  constructor(cpus: number, onnxThreads: number) {
    this.#cpus = cpus;
    this.#onnxThreads = onnxThreads;
  }

  update({ wallMs, processMs, engineMs, hostMs, pictures }: CpuSample): void {
    if (wallMs <= 0) return;
    const foreign = hostMs === undefined ? 0 : Math.max(0, hostMs - processMs) / wallMs;
    this.#foreignCpus += NEWEST * (foreign - this.#foreignCpus);
    if (pictures < ENOUGH_PICTURES) return;
    const each = Math.max(0, processMs - engineMs) / pictures;
    this.#perPictureMs =
      this.#perPictureMs === undefined ? each : this.#perPictureMs + NEWEST * (each - this.#perPictureMs);
  }

  /**
   * Both in engine threads' worth of CPU: what others leave to this process, and ms that a picture takes of it besides
   * its network, 0 until it was seen.
   */
  get shared(): { readonly capacity: number; readonly besidesMs: number } {
    return {
      capacity: Math.max(0, this.#cpus - this.#foreignCpus) / this.#onnxThreads,
      besidesMs: (this.#perPictureMs ?? 0) / this.#onnxThreads,
    };
  }
}
