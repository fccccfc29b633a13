/** Admission, the one bounded queue of all families, and dispatch whenever an engine thread is free. */
import type { Engine } from '../engine/engine.js';
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import type { Clock } from './clock.js';
import { type LatencyTable, MAX_BATCH } from './latency.js';
import { byRank, type Decision, decide, fastest, rank, type Waiting } from './policy.js';

/** Kept back from a deadline for what comes after the logits: softmax, JSON, the socket. */
export const ANSWER_MS = 2;

/** What a request asks of the scheduler for each of its pictures. */
export interface Order {
  readonly allowed: readonly Instance[];
  /** When the request was wholly read, in the clock's ms. */
  readonly startMs: number;
  /** The answer's deadline; undefined for none. */
  readonly latencyMs: number | undefined;
  readonly strict: boolean;
  readonly late: boolean;
}

export interface Outcome {
  readonly instance: Instance;
  /** [classes] float32 */
  readonly logits: Float32Array;
  readonly batchSize: number;
  readonly queueMs: number;
  readonly inferenceMs: number;
  /** From the start of the request to its logits, as predicted at dispatch. */
  readonly predictedMs: number;
}

interface Picture extends Waiting {
  readonly pixels: Uint8Array;
  readonly startMs: number;
  resolve(outcome: Outcome): void;
  reject(error: DimmerError): void;
}

/** A request that was admitted and whose pictures are not all in the queue yet. */
export interface Admission {
  /** Raises DimmerError deadline-exceeded if it is too late to begin: decoding would be for nothing. */
  assertInTime(): void;
  /** Puts one decoded picture into the queue. Rejects with DimmerError, or with the signal's reason. */
  submit(pixels: Uint8Array, signal: AbortSignal): Promise<Outcome>;
  /** Gives back the places of pictures that were not submitted; to be called once, whatever happened. */
  end(): void;
}

interface Reservation {
  places: number;
  readonly workMs: number;
  /** Its place among those that wait: `rank` of the policy. */
  readonly rankMs: number;
}

export interface SchedulerOptions {
  readonly engine: Engine;
  readonly table: LatencyTable;
  readonly clock: Clock;
  /** Pictures admitted and not running, at most. */
  readonly maxQueue: number;
}

export class Scheduler {
  readonly #engine: Engine;
  readonly #table: LatencyTable;
  readonly #clock: Clock;
  readonly #maxQueue: number;
  #waiting: Picture[] = [];
  readonly #reservations = new Set<Reservation>();
  /** When each running batch should end. */
  readonly #running = new Map<symbol, number>();
  #cancelTimer = () => {};

  constructor({ engine, table, clock, maxQueue }: SchedulerOptions) {
    this.#engine = engine;
    this.#table = table;
    this.#clock = clock;
    this.#maxQueue = maxQueue;
    engine.onIdle = () => this.#dispatch();
  }

  /** Pictures admitted and not running. */
  get queued(): number {
    return this.#waiting.length + sum([...this.#reservations].map((r) => r.places));
  }

  /** Of those, the ones that are decoded and could run. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether another request with one picture would find a place. */
  get full(): boolean {
    return this.queued >= this.#maxQueue;
  }

  readonly #predict = (instance: Instance, size: number) => this.#table.predict(instance.key, size);

  /**
   * Admits a request whole or not at all. decodeMs: until its pictures should be decoded.
   * Raises DimmerError overloaded (no place), or deadline-unattainable (strict, and the backlog makes it hopeless).
   */
  admit(order: Order, pictures: number, decodeMs: number): Admission {
    const deadlineMs = this.#deadline(order);
    const [rankMs] = rank({ late: order.late, deadlineMs, arrivalMs: this.#clock.now() });
    const backlogMs = this.#backlogMs(rankMs);
    if (this.queued + pictures > this.#maxQueue) throw this.overloaded(pictures);
    const best = fastest(order.allowed, this.#predict);
    const workMs = this.#perPicture(order.allowed);
    const ownMs = this.#predict(best, 1) + ((pictures - 1) * workMs) / this.#engine.threads;
    const finishMs = this.#clock.now() + Math.max(decodeMs, backlogMs) + ownMs;
    if (order.strict && finishMs > deadlineMs) {
      throw new DimmerError('deadline-unattainable', {
        detail: `with ${this.queued} pictures waiting, the answer would take ${Math.ceil(finishMs - order.startMs)} ms of the ${order.latencyMs} ms allowed`,
        expected: 'a shorter queue, or a larger latency',
        action: 'try again later, raise latency, or add strict=?0 to be answered late',
        retryAfterS: retryAfter(backlogMs),
      });
    }
    const reservation = { places: pictures, workMs, rankMs };
    this.#reservations.add(reservation);
    return {
      assertInTime: () => {
        const nowMs = this.#clock.now();
        if (order.strict && nowMs + this.#predict(best, 1) > deadlineMs) throw deadlineExceeded(nowMs - order.startMs);
      },
      submit: (pixels, signal) => {
        reservation.places--;
        return this.#enqueue(order, pixels, signal);
      },
      end: () => this.#reservations.delete(reservation),
    };
  }

  overloaded(pictures: number): DimmerError {
    return new DimmerError('overloaded', {
      detail: `${this.queued} pictures are waiting and ${pictures} more would pass the limit of ${this.#maxQueue} (MAX_QUEUE)`,
      expected: 'a queue with room for every picture of the request',
      action: 'try again after the time in Retry-After',
      retryAfterS: retryAfter(this.#backlogMs(Number.POSITIVE_INFINITY)),
    });
  }

  #deadline({ startMs, latencyMs }: Order): number {
    return latencyMs === undefined ? Number.POSITIVE_INFINITY : startMs + latencyMs - ANSWER_MS;
  }

  /** ms of one thread for one picture, at the best rate its limits allow. */
  #perPicture(allowed: readonly Instance[]): number {
    return this.#predict(fastest(allowed, this.#predict), MAX_BATCH) / MAX_BATCH;
  }

  /** ms until a picture of this rank could start, if all before it run at their best rate. */
  #backlogMs(rankMs: number): number {
    const ahead = this.#waiting.filter((w) => !w.late && rank(w)[0] <= rankMs).map((w) => this.#perPicture(w.allowed));
    const reserved = [...this.#reservations].filter((r) => r.rankMs <= rankMs).map((r) => r.places * r.workMs);
    const now = this.#clock.now();
    const running = [...this.#running.values()].map((end) => Math.max(0, end - now));
    const busy = running.length < this.#engine.threads ? 0 : Math.min(...running);
    return busy + (sum(ahead) + sum(reserved)) / this.#engine.threads;
  }

  #enqueue(order: Order, pixels: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const picture: Picture = {
        allowed: order.allowed,
        deadlineMs: this.#deadline(order),
        strict: order.strict,
        late: order.late,
        arrivalMs: this.#clock.now(),
        startMs: order.startMs,
        pixels,
        resolve,
        reject,
      };
      // A run cannot be cancelled; a picture that still waits can.
      signal.addEventListener(
        'abort',
        () => {
          this.#waiting = this.#waiting.filter((w) => w.pixels !== pixels);
          reject(signal.reason);
        },
        { once: true },
      );
      this.#insert(picture);
      this.#dispatch();
    });
  }

  #insert(picture: Picture): void {
    const place = this.#waiting.findIndex((w) => byRank(picture, w) < 0);
    this.#waiting.splice(place < 0 ? this.#waiting.length : place, 0, picture);
  }

  #dispatch(): void {
    while (this.#waiting.length && this.#engine.idle > 0) {
      const { run, turnedLate } = this.#decide();
      if (run) void this.#run(run.instance, run.pictures, run.predictedMs);
      else if (!turnedLate.length) break;
    }
    this.#wakeForExpiry();
  }

  /** Takes out of the queue what the decision takes: pictures to run, and those that can no longer be in time. */
  #decide(): Decision<Picture> {
    const { idle, threads } = this.#engine;
    const nowMs = this.#clock.now();
    const decision = decide(this.#waiting, { nowMs, threads, idle: Math.max(1, idle), predict: this.#predict });
    const { expired, turnedLate, run } = decision;
    this.#remove(new Set([...expired, ...turnedLate, ...(run && idle ? run.pictures : [])]));
    for (const picture of expired) picture.reject(deadlineExceeded(nowMs - picture.startMs));
    for (const picture of turnedLate) {
      this.#insert({ ...picture, allowed: [fastest(picture.allowed, this.#predict)], late: true });
    }
    return decision;
  }

  #remove(pictures: ReadonlySet<Picture>): void {
    if (pictures.size) this.#waiting = this.#waiting.filter((w) => !pictures.has(w));
  }

  /** With every thread busy (or dead), nobody else would notice that a picture has expired. */
  #wakeForExpiry(): void {
    this.#cancelTimer();
    const next = Math.min(...this.#waiting.filter((w) => !w.late).map((w) => w.deadlineMs));
    if (next === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.after(Math.max(1, next - this.#clock.now()), () => {
      if (this.#engine.idle === 0) this.#decide();
      this.#dispatch();
    });
  }

  async #run(instance: Instance, pictures: readonly Picture[], predictedMs: number): Promise<void> {
    const dispatchedMs = this.#clock.now();
    const run = Symbol(instance.key);
    this.#running.set(run, dispatchedMs + predictedMs);
    try {
      const logits = await this.#engine.run(
        instance,
        pictures.map((p) => p.pixels),
      );
      const inferenceMs = this.#clock.now() - dispatchedMs;
      this.#table.record(instance.key, pictures.length, inferenceMs);
      pictures.forEach((picture, index) => {
        picture.resolve({
          instance,
          logits: logits[index] as Float32Array,
          batchSize: pictures.length,
          queueMs: dispatchedMs - picture.arrivalMs,
          inferenceMs,
          predictedMs: dispatchedMs - picture.startMs + predictedMs,
        });
      });
    } catch (error) {
      for (const picture of pictures) picture.reject(error as DimmerError);
    } finally {
      this.#running.delete(run);
    }
  }
}

function deadlineExceeded(waitedMs: number): DimmerError {
  return new DimmerError('deadline-exceeded', {
    detail: `the picture waited until no allowed instance could finish in time (${Math.round(waitedMs)} ms) and was never run`,
    expected: 'a start early enough for the latency asked for',
    action: 'try again, raise latency, or add strict=?0 to be answered late',
  });
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const retryAfter = (backlogMs: number) => Math.max(1, Math.ceil(backlogMs / 1000));
