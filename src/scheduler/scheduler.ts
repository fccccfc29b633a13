/**
 * The scheduler: admits or refuses requests, and passes admitted pictures to the pipeline until their logits are there.
 */
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import { peek } from '../image/peek.js';
import type { Latency } from '../latency/model.js';
import { backlogMs, type Foresight, foresee } from '../plan/admit.js';
import { Arrivals } from '../plan/arrivals.js';
import { type Next, next as ours } from '../plan/next.js';
import type { Snapshot, Stage, Waiting } from '../plan/snapshot.js';
import { TUNING, type Tuning } from '../plan/tuning.js';
import type { Clock } from './clock.js';
import type { CpuShare } from './cpus.js';
import { Faults } from './faults.js';
import { Margin } from './margin.js';
import { deadlineOf, giveUpOf, type Order, type Outcome, type Pictures } from './order.js';
import { type Decoding, type Networks, Pipeline } from './pipeline.js';
import type { Picture } from './queue.js';
import { deadlineUnattainable, overloaded, wouldWaitTooLong } from './refusals.js';
import type { Shadow } from './shadow.js';

export interface SchedulerOptions {
  readonly engine: Networks;
  readonly decoder: Decoding;
  readonly latency: Latency;
  readonly clock: Clock;
  /** How many CPUs are left for pictures. */
  readonly cpus: Pick<CpuShare, 'now'>;
  /** Upper bound of admitted pictures that are not running. */
  readonly maxQueue: number;
  /** How long a picture that is not strict may wait, from its request's start; its own latency counts if longer. */
  readonly maxWaitMs?: number;
  /** The plan; benches pass rival policies. */
  readonly next?: Next;
  /** Constants of the plan; benches pass other values. */
  readonly tuning?: Tuning;
  readonly shadow?: Shadow | undefined;
  /** Called with an unexpected exception in scheduling. Pictures are answered all the same, by a fallback. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** A decode that takes more CPU ms than this is long (a photograph): several at once would delay all short ones. */
const LONG_MS = 10;

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #tuning: Tuning;
  readonly #maxWaitMs: number;
  readonly #faults: Faults;
  readonly #pipeline: Pipeline;
  readonly #arrivals = new Arrivals();
  #arrived = 0;
  readonly #margin: Margin;
  /**
   * Keys of allowed instances -> the one list object that all such requests share: the plan compares lists by identity.
   */
  readonly #lists = new Map<string, readonly Instance[]>();

  constructor(options: SchedulerOptions) {
    const { engine, decoder, latency, clock, shadow, next = ours, maxWaitMs = Number.POSITIVE_INFINITY } = options;
    this.#options = options;
    this.#tuning = options.tuning ?? TUNING;
    this.#margin = new Margin(this.#tuning);
    this.#maxWaitMs = maxWaitMs;
    this.#faults = new Faults(options.onFault);
    const parts = {
      engine,
      decoder,
      latency,
      clock,
      shadow,
      next,
      maxWaitMs,
      faults: this.#faults,
      margin: this.#margin,
    };
    this.#pipeline = new Pipeline({
      ...parts,
      snapshot: () => this.#snapshot,
      backlogMs: () => this.#backlogMs,
    });
  }

  /** Since the start: pictures that arrived, and CPU time that decodes and networks should have taken on these CPUs. */
  get spent(): { readonly arrivals: number; readonly plannedMs: number } {
    const { decodeMs, networkMs } = this.#pipeline.spent;
    const { networks } = this.#options.cpus.now(0);
    return { arrivals: this.#arrived, plannedMs: decodeMs + (networks ? networkMs : 0) };
  }

  /** How many admitted pictures are not running. */
  get queued(): number {
    return this.#pipeline.waiting.length;
  }

  /** How many admitted pictures that are not running are at each stage. */
  get stages(): Readonly<Record<Stage, number>> {
    const stages = { encoded: 0, decoding: 0, decoded: 0 };
    for (const { stage } of this.#pipeline.waiting) stages[stage] += 1;
    return stages;
  }

  /** Ends timers. The caller has made sure that no picture waits. */
  close(): void {
    this.#pipeline.close();
  }

  /**
   * Called before the body is read. Raises DimmerError overloaded or deadline-unattainable if the request would be
   * refused whatever its pictures are.
   */
  assertRoom(asked: Omit<Order, 'startMs'>): void {
    const order = { ...this.#listed(asked), startMs: this.#options.clock.now() };
    try {
      if (order.strict && order.latencyMs !== undefined) this.#admit(order, []);
      else this.#assertPlace(1, order.bestEffort);
    } catch (error) {
      this.#count(order.startMs, 1); // refused requests are demand, too: the forecast must see them
      throw error;
    }
  }

  /**
   * Decodes and runs the pictures of a request; returns one outcome for each, in order. A request is admitted whole or
   * not at all, and the first picture that fails ends it. Raises DimmerError, or the signal's reason once it is
   * aborted.
   */
  async classify(asked: Order, { images, signal, decoded, ran, admitted }: Pictures): Promise<Outcome[]> {
    const { latency, clock } = this.#options;
    const order = this.#listed(asked);
    const nowMs = clock.now();
    if (signal.aborted) throw signal.reason;
    this.#count(nowMs, images.length);
    // Does not keep the encoded bytes, which are freed as soon as they are decoded.
    const sizes = images.map((bytes) => {
      const size = peek(bytes);
      return { size, decode: latency.decode(order.family, size.kind, size.megapixels) };
    });
    const bestEffort = this.#admit(
      order,
      sizes.map((s) => s.decode),
    );
    let toDecode = images.length;
    const oneDecoded = () => {
      toDecode -= 1;
      if (toDecode === 0) decoded();
    };
    const outcomes: Promise<Outcome>[] = [];
    const pictures = sizes.map(({ size, decode }, n): Picture => {
      const { promise, resolve, reject } = deferred<Outcome>();
      outcomes.push(promise);
      return {
        stage: 'encoded',
        allowed: order.allowed,
        deadlineMs: deadlineOf(order),
        strict: order.strict,
        bestEffort,
        promised: !bestEffort && order.latencyMs !== undefined,
        arrivalMs: nowMs,
        startMs: order.startMs,
        giveUpMs: giveUpOf(order, this.#maxWaitMs),
        family: order.family,
        resize: order.resize,
        size,
        decode,
        long: decode.cpuMs > LONG_MS,
        bytes: images[n],
        pixels: undefined,
        decodeMs: 0,
        passage: { arrivalMs: nowMs, decode: undefined, run: undefined },
        stop: new AbortController(),
        decoded: oneDecoded,
        ran,
        resolve,
        reject,
      };
    });
    admitted?.(pictures.map((p) => p.passage));
    // Not AbortSignal.any: Node never frees the signal that it returns, nor its listeners (nodejs/node#54614).
    const leave = () => this.#pipeline.remove(pictures, signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      this.#pipeline.add(pictures);
      return await Promise.all(images.length > 1 ? outcomes.map(withIndex) : outcomes);
    } catch (error) {
      for (const outcome of outcomes) outcome.catch(() => {}); // one failure answers the request
      this.#pipeline.remove(pictures, error as Error);
      throw error;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #count(atMs: number, pictures: number): void {
    this.#arrivals.add(atMs, pictures);
    this.#arrived += pictures;
  }

  /** The same order, with the shared list object of its allowed instances. */
  #listed<T extends Pick<Order, 'allowed'>>(asked: T): T {
    const key = asked.allowed.map((i) => i.key).join();
    return { ...asked, allowed: getOrInsert(this.#lists, key, () => asked.allowed) };
  }

  /** Whether the request is best effort from the start. Raises DimmerError overloaded or deadline-unattainable. */
  #admit(order: Order, decodes: readonly Waiting['decode'][]): boolean {
    const { latencyMs, strict } = order;
    const nowMs = this.#options.clock.now();
    const deadlineMs = deadlineOf(order);
    const asking = { allowed: order.allowed, deadlineMs, bestEffort: order.bestEffort, arrivalMs: nowMs, decodes };
    const { doneMs, harmless } = this.#faults.orElse(
      () => foresee(asking, this.#snapshot),
      (): Foresight => ({ doneMs: nowMs, harmless: true }),
    );
    // An idle host tries one picture whatever the prediction: the live factor may still remember a busy minute.
    const idle = this.queued === 0 && this.#pipeline.running.length === 0;
    const late = latencyMs !== undefined && (doneMs > deadlineMs || !harmless) && !(idle && decodes.length <= 1);
    const bestEffort = order.bestEffort || late;
    if (strict && late) throw deadlineUnattainable(this.queued, doneMs - order.startMs, latencyMs, this.#backlogMs);
    this.#assertPlace(Math.max(1, decodes.length), bestEffort);
    const startMs = bestEffort && !idle ? nowMs + this.#backlogMs : doneMs;
    if (!idle && startMs > giveUpOf(order, this.#maxWaitMs))
      throw wouldWaitTooLong(this.queued, this.#maxWaitMs, startMs - nowMs);
    return bestEffort;
  }

  /**
   * Raises DimmerError overloaded if the queue has no room. Best effort pictures may take half of the places at most.
   */
  #assertPlace(pictures: number, bestEffort: boolean): void {
    const { maxQueue } = this.#options;
    const behind = bestEffort ? this.#pipeline.waiting.filter((w) => w.bestEffort).length : 0;
    const over = this.queued + pictures > maxQueue || (bestEffort && behind + pictures > Math.ceil(maxQueue / 2));
    if (over) throw this.#overloaded(pictures);
  }

  #overloaded(pictures: number): DimmerError {
    return overloaded(this.queued, pictures, this.#options.maxQueue, this.#backlogMs);
  }

  /** The backlog: ms until everything that waits and runs now would be done; 0 if the plan throws. */
  get #backlogMs(): number {
    return this.#faults.orZero(() => backlogMs(this.#snapshot));
  }

  get #snapshot(): Snapshot<Picture> {
    const { clock, engine, decoder, latency, cpus } = this.#options;
    const nowMs = clock.now();
    const forecast = this.#arrivals.forecast(nowMs);
    return {
      nowMs,
      waiting: this.#pipeline.waiting,
      running: this.#pipeline.running,
      batchSizes: engine.batchSizes,
      threads: engine.threads,
      idleThreads: engine.idle,
      decodePlaces: decoder.places,
      cpus: cpus.now(forecast.arrivalsPerMs, this.#tuning.answerShare),
      ...forecast,
      margin: this.#margin.factor,
      latency,
      tuning: this.#tuning,
    };
  }
}

/** Adds the index of the picture to its error. */
const withIndex = (outcome: Promise<Outcome>, index: number): Promise<Outcome> =>
  outcome.catch((error) => {
    throw error instanceof DimmerError ? error.atImage(index) : error;
  });

/** A promise with the functions that settle it. */
function deferred<T>() {
  let [resolve, reject] = [(_: T) => {}, (_: Error) => {}];
  const promise = new Promise<T>((res, rej) => {
    [resolve, reject] = [res, rej];
  });
  return { promise, resolve, reject };
}
