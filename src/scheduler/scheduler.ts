/** Admission, the one bounded queue of all families, and dispatch whenever an engine thread is free. */
import type { Engine } from '../engine/engine.js';
import type { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import { backlogMs, finishMs, type Load } from '../policy/admission.js';
import { Arrivals, type Forecast } from '../policy/arrivals.js';
import { byRank, fastest, type Latency, limitsOf, rankOf, type Waiting } from '../policy/picture.js';
import { type Decision, decide, type Policy } from '../policy/policy.js';
import type { Capacity } from './capacity.js';
import type { Clock } from './clock.js';
import type { LatencyTable } from './latency.js';
import { type Admission, ANSWER_MS, lastDueMs, type Order, type Outcome, type Reservation } from './order.js';
import { deadlineExceeded, deadlineUnattainable, overloaded } from './refusals.js';
import type { Shadow } from './shadow.js';

interface Picture extends Waiting {
  readonly pixels: Uint8Array;
  readonly startMs: number;
  resolve(outcome: Outcome): void;
  reject(error: DimmerError): void;
}

export interface SchedulerOptions {
  readonly engine: Engine;
  readonly table: LatencyTable;
  readonly clock: Clock;
  /** Pictures admitted and not running, at most. */
  readonly maxQueue: number;
  /** Benches put another in its place. */
  readonly policy?: Policy;
  /** The CPUs, and who else uses them; without it networks have all threads to themselves. */
  readonly capacity?: Capacity | undefined;
  readonly shadow?: Shadow | undefined;
}

export class Scheduler {
  readonly #engine: Engine;
  readonly #table: LatencyTable;
  readonly #clock: Clock;
  readonly #maxQueue: number;
  readonly #policy: Policy;
  readonly #capacity: Capacity | undefined;
  readonly #shadow: Shadow | undefined;
  readonly #arrivals = new Arrivals();
  #waiting: Picture[] = [];
  readonly #reservations = new Set<Reservation>();
  /** When each running batch should end. */
  readonly #running = new Map<symbol, number>();
  #cancelTimer = () => {};
  /** One list for all that allow the same: the policy knows them by identity. */
  readonly #lists = new Map<string, readonly Instance[]>();

  constructor({ engine, table, clock, maxQueue, policy = decide, capacity, shadow }: SchedulerOptions) {
    this.#engine = engine;
    this.#table = table;
    this.#clock = clock;
    this.#maxQueue = maxQueue;
    this.#policy = policy;
    this.#capacity = capacity;
    this.#shadow = shadow;
    engine.onIdle = () => this.#dispatch();
  }

  /** So far: pictures run, and ms of CPU that their networks should have taken. */
  readonly spent = { pictures: 0, engineMs: 0 };

  /** Told how many decoded pictures wait, whenever that may have changed. */
  onQueue: (waiting: number) => void = () => {};

  /** Pictures admitted and not running. */
  get queued(): number {
    return [...this.#reservations].reduce((sum, r) => sum + r.places, this.#waiting.length);
  }

  /** Of those, the ones that are decoded and could run. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether another request with one picture would find a place. */
  get full(): boolean {
    return this.queued >= this.#maxQueue;
  }

  readonly #latency: Latency = {
    predict: ({ key }, size) => this.#table.predict(key, size),
    expect: ({ key }, size) => this.#table.expect(key, size),
    cost: ({ key }, size) => this.#table.cost(key, size),
  };

  /**
   * Admits a request whole or not at all. decodeMs: until its pictures should be decoded.
   * Raises DimmerError overloaded (no place), or deadline-unattainable (strict, and the backlog makes it hopeless).
   */
  admit(asked: Order, pictures: number, decodeMs: number): Admission {
    const order = { ...asked, allowed: this.#list(asked.allowed) };
    const { allowed, late, strict, startMs } = order;
    const nowMs = this.#clock.now();
    const deadlineMs = this.#deadline(order);
    // Refused or not: who is refused for the backlog would have been served at a cheaper pace.
    this.#arrivals.add(nowMs, pictures);
    if (this.queued + pictures > this.#maxQueue) throw this.overloaded(pictures);
    const rankMs = rankOf({ late, deadlineMs, arrivalMs: nowMs });
    const { aloneMs, rateMs } = limitsOf(this.#latency)(allowed);
    const doneMs = finishMs({ allowed, late, deadlineMs }, pictures, decodeMs, this.#load);
    if (strict && doneMs > deadlineMs) {
      // An idle host tries one picture all the same, as fast as it can: what is predicted may be the memory of a busy
      // minute, and only a run can show that.
      if (pictures === 1 && this.queued === 0 && this.#running.size === 0) {
        const only = [fastest(allowed, this.#latency.predict)];
        return this.admit({ ...asked, allowed: only, latencyMs: undefined }, pictures, decodeMs);
      }
      throw deadlineUnattainable(
        this.queued,
        doneMs - startMs,
        order.latencyMs as number,
        backlogMs(rankMs, this.#load),
      );
    }
    const reservation = { places: pictures, workMs: rateMs, rankMs, deadlineMs };
    this.#reservations.add(reservation);
    return {
      lastStartMs: order.strict ? deadlineMs - aloneMs : Number.POSITIVE_INFINITY,
      expired: () => deadlineExceeded(this.#clock.now() - order.startMs),
      submit: (pixels, signal) => {
        reservation.places--;
        return this.#enqueue(order, pixels, signal);
      },
      end: () => {
        this.#reservations.delete(reservation);
        if (reservation.places > 0) this.#dispatch(); // not decoded, and perhaps what others wait for
      },
    };
  }

  overloaded(pictures: number): DimmerError {
    return overloaded(this.queued, pictures, this.#maxQueue, backlogMs(Number.POSITIVE_INFINITY, this.#load));
  }

  #deadline({ startMs, latencyMs }: Order): number {
    return latencyMs === undefined ? Number.POSITIVE_INFINITY : startMs + latencyMs - ANSWER_MS;
  }

  get #load(): Load & Forecast {
    const [nowMs, { threads }] = [this.#clock.now(), this.#engine];
    return {
      nowMs,
      threads,
      ...(this.#capacity?.shared ?? { capacity: threads, besidesMs: 0 }),
      waiting: this.#waiting,
      expected: this.#reservations,
      runningUntilMs: [...this.#running.values()],
      ...this.#arrivals.forecast(nowMs),
      ...this.#latency,
    };
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

  #list(allowed: readonly Instance[]): readonly Instance[] {
    return getOrInsert(this.#lists, allowed.map((i) => i.key).join(), () => allowed);
  }

  /** From the end: most come with the latest deadline. */
  #insert(picture: Picture): void {
    const before = this.#waiting.findLastIndex((w) => byRank(w, picture) <= 0);
    this.#waiting.splice(before + 1, 0, picture);
  }

  #dispatch(): void {
    let wakeMs = Number.POSITIVE_INFINITY;
    while (this.#waiting.length && this.#engine.idle > 0) {
      const { run, turnedLate, waitUntilMs } = this.#decide();
      if (run) void this.#run(run.instance, run.pictures, run.predictedMs);
      else if (!turnedLate.length) {
        wakeMs = waitUntilMs ?? wakeMs;
        break;
      }
    }
    this.onQueue(this.#waiting.length);
    this.#wakeAt(wakeMs);
    this.#runShadow();
  }

  /** Only when nobody waits, is decoded or runs: a run cannot be cancelled for one who comes. */
  #runShadow(): void {
    if (this.queued > 0 || this.#engine.idle < this.#engine.threads) return;
    const next = this.#shadow?.take();
    if (!next) return;
    const { answered, full } = next;
    const run = this.#begin(full, 1);
    this.#engine
      .run(full, [answered.pixels])
      .then(([logits]) => this.#shadow?.compare(answered, logits as Float32Array))
      .catch(() => {}) // the pool says what happened to its thread; nobody waits for this
      .finally(() => this.#running.delete(run));
  }

  /** Notes a run until it is deleted from #running. */
  #begin(instance: Instance, size: number): symbol {
    const run = Symbol(instance.key);
    this.#running.set(run, this.#clock.now() + this.#latency.predict(instance, size));
    return run;
  }

  /** Takes out of the queue what the decision takes: pictures to run, and those that can no longer be in time. */
  #decide(): Decision<Picture> {
    const [load, idle] = [this.#load, this.#engine.idle];
    const decoding = { decoding: this.queued - this.waiting, decodingDueMs: lastDueMs(this.#reservations) };
    const { warm } = this.#engine;
    const againMs = ({ key }: Instance) => (warm.has(key) ? this.#table.againMs(key) : 0);
    const view = { ...load, idle: Math.max(1, idle), againMs, ...decoding };
    const decision = this.#policy(this.#waiting, view);
    const { expired, turnedLate, run } = decision;
    this.#remove(new Set([...expired, ...turnedLate, ...(run && idle ? run.pictures : [])]));
    for (const picture of expired) picture.reject(deadlineExceeded(load.nowMs - picture.startMs));
    for (const picture of turnedLate) {
      this.#insert({ ...picture, allowed: this.#list([fastest(picture.allowed, this.#latency.predict)]), late: true });
    }
    return decision;
  }

  #remove(pictures: ReadonlySet<Picture>): void {
    if (pictures.size) this.#waiting = this.#waiting.filter((w) => !pictures.has(w));
  }

  /** Or when the next picture expires: with every thread busy (or dead) nobody else would notice. */
  #wakeAt(ms: number): void {
    this.#cancelTimer();
    let next = ms;
    for (const w of this.#waiting) if (!w.late) next = Math.min(next, w.deadlineMs);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.after(Math.max(1, next - this.#clock.now()), () => {
      if (this.#engine.idle === 0) this.#decide();
      this.#dispatch();
    });
  }

  async #run(instance: Instance, pictures: readonly Picture[], predictedMs: number): Promise<void> {
    const dispatchedMs = this.#clock.now();
    const run = this.#begin(instance, pictures.length);
    try {
      const logits = await this.#engine.run(
        instance,
        pictures.map((p) => p.pixels),
      );
      const inferenceMs = this.#clock.now() - dispatchedMs;
      this.#table.record(instance.key, pictures.length, inferenceMs);
      this.spent.pictures += pictures.length;
      this.spent.engineMs += this.#table.cost(instance.key, pictures.length);
      pictures.forEach((picture, index) => {
        picture.resolve({
          instance,
          logits: logits[index] as Float32Array,
          batchSize: pictures.length,
          queueMs: dispatchedMs - picture.arrivalMs,
          inferenceMs,
          predictedMs: dispatchedMs - picture.startMs + predictedMs,
        });
        this.#shadow?.offer({ instance, pixels: picture.pixels, logits: logits[index] as Float32Array });
      });
    } catch (error) {
      for (const picture of pictures) picture.reject(error as DimmerError);
    } finally {
      this.#running.delete(run);
      this.#runShadow(); // the thread said that it is idle before this answer could be offered
    }
  }
}
