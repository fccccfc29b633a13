/** Admission to the one bounded queue of all families; what waits in it is run by the dispatcher. */
import type { Engine } from '../engine/engine.js';
import type { DimmerError } from '../errors.js';
import { backlogMs, type Load, wholeBacklogMs } from '../policy/admission.js';
import { Arrivals, type Forecast } from '../policy/arrivals.js';
import { decide, type Policy } from '../policy/policy.js';
import type { Capacity } from './capacity.js';
import type { Clock } from './clock.js';
import { Dispatcher, type RunModel } from './dispatcher.js';
import { Faults } from './faults.js';
import { type Foresight, foresee, unforeseen } from './foresight.js';
import {
  type Admission,
  deadlineOf,
  giveUpOf,
  type Order,
  type Outcome,
  type Reservation,
  rankOfOrder,
} from './order.js';
import type { Picture } from './queue.js';
import { deadlineExceeded, deadlineUnattainable, overloaded, waitedTooLong, wouldWaitTooLong } from './refusals.js';
import type { Shadow } from './shadow.js';

export interface SchedulerOptions {
  readonly engine: Engine;
  readonly model: RunModel;
  readonly clock: Clock;
  /** Pictures admitted and not running, at most. */
  readonly maxQueue: number;
  /** How long a picture waits that is not strict, from its request's start; its own latency, if that is longer. */
  readonly maxWaitMs?: number;
  /** Benches put another in its place. */
  readonly policy?: Policy;
  /** The CPUs, and who else uses them; without it networks have all threads to themselves. */
  readonly capacity?: Capacity | undefined;
  readonly shadow?: Shadow | undefined;
  /** Told of what should not happen: something here has thrown. Pictures are answered all the same. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

export class Scheduler {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #maxQueue: number;
  readonly #maxWaitMs: number;
  readonly #capacity: Capacity | undefined;
  readonly #faults: Faults;
  readonly #dispatcher: Dispatcher;
  readonly #arrivals = new Arrivals();
  readonly #reservations = new Set<Reservation>();

  constructor(options: SchedulerOptions) {
    const { engine, model, clock, shadow, policy = decide, maxWaitMs = Number.POSITIVE_INFINITY } = options;
    this.#engine = engine;
    this.#clock = clock;
    this.#maxQueue = options.maxQueue;
    this.#maxWaitMs = maxWaitMs;
    this.#capacity = options.capacity;
    this.#faults = new Faults(options.onFault);
    const [faults, reservations, load] = [this.#faults, this.#reservations, () => this.#load];
    this.#dispatcher = new Dispatcher({ engine, model, clock, policy, shadow, faults, maxWaitMs, reservations, load });
  }

  /** So far: pictures run, and ms of CPU that their networks should have taken. */
  get spent(): { readonly pictures: number; readonly engineMs: number } {
    return this.#dispatcher.spent;
  }

  /** Told how many decoded pictures wait, whenever that may have changed. */
  set onQueue(told: (waiting: number) => void) {
    this.#dispatcher.onQueue = told;
  }

  /** Pictures admitted and not running. */
  get queued(): number {
    return this.waiting + this.#dispatcher.reserved;
  }

  /** Of those, the ones that are decoded and could run. */
  get waiting(): number {
    return this.#dispatcher.waiting.length;
  }

  /** Whether another request with one picture would find a place. */
  get full(): boolean {
    return this.queued >= this.#maxQueue;
  }

  /**
   * Admits a request whole or not at all. decodeMs: until its pictures should be decoded.
   * Raises DimmerError overloaded (no place; or not strict, and it would wait too long), or deadline-unattainable (strict,
   * and the backlog makes it hopeless).
   */
  admit(asked: Order, pictures: number, decodeMs: number): Admission {
    const order = { ...asked, allowed: this.#dispatcher.list(asked.allowed) };
    // Refused or not: who is refused for the backlog would have been served at a cheaper pace.
    this.#arrivals.add(this.#clock.now(), pictures);
    if (this.queued + pictures > this.#maxQueue) throw this.overloaded(pictures);
    const deadlineMs = deadlineOf(order);
    const foresight = this.#faults.orElse(
      () => foresee(order, pictures, decodeMs, this.#load),
      () => unforeseen(this.#clock.now()),
    );
    const { doneMs, lastMs } = foresight;
    const late = order.late || doneMs > deadlineMs;
    const idle = this.queued === 0 && this.#dispatcher.runningUntilMs.length === 0;
    if (order.strict && late) {
      // An idle host tries one picture all the same, as fast as it can: what is predicted may be the memory of a busy
      // minute, and only a run can show that.
      if (idle && pictures === 1) {
        const allowed = this.#dispatcher.list([this.#dispatcher.quickest(order.allowed)]);
        return this.#reserve({ ...order, allowed, latencyMs: undefined }, pictures, foresight);
      }
      const backlog = this.#faults.orNothing(() => backlogMs(rankOfOrder(order, this.#clock.now()), this.#load));
      throw deadlineUnattainable(this.queued, doneMs - order.startMs, order.latencyMs as number, backlog);
    }
    const startMs = late ? lastMs : doneMs - foresight.aloneMs;
    if (!idle && startMs > giveUpOf(order, this.#maxWaitMs))
      throw wouldWaitTooLong(this.queued, this.#maxWaitMs, startMs - this.#clock.now());
    return this.#reserve(order, pictures, foresight);
  }

  #reserve(order: Order, pictures: number, { aloneMs, workMs }: Foresight): Admission {
    const deadlineMs = deadlineOf(order);
    const reservation = { places: pictures, workMs, rankMs: rankOfOrder(order, this.#clock.now()), deadlineMs };
    this.#reservations.add(reservation);
    return {
      lastStartMs: order.strict ? deadlineMs - aloneMs : giveUpOf(order, this.#maxWaitMs),
      expired: () => {
        const waitedMs = this.#clock.now() - order.startMs;
        if (order.strict) return deadlineExceeded(waitedMs);
        return waitedTooLong(waitedMs, this.#maxWaitMs, this.#wholeBacklogMs);
      },
      submit: (pixels, signal) => {
        reservation.places--;
        return this.#enqueue(order, pixels, signal);
      },
      end: () => {
        this.#reservations.delete(reservation);
        if (reservation.places > 0) this.#dispatcher.dispatch(); // not decoded, and perhaps what others wait for
      },
    };
  }

  overloaded(pictures: number): DimmerError {
    return overloaded(this.queued, pictures, this.#maxQueue, this.#wholeBacklogMs);
  }

  get #wholeBacklogMs(): number {
    return this.#faults.orNothing(() => wholeBacklogMs(this.#load));
  }

  get #load(): Load & Forecast {
    const [nowMs, { threads }] = [this.#clock.now(), this.#engine];
    return {
      nowMs,
      threads,
      ...(this.#capacity?.shared ?? { capacity: threads, besidesMs: 0 }),
      waiting: this.#dispatcher.waiting,
      expected: this.#reservations,
      runningUntilMs: this.#dispatcher.runningUntilMs,
      ...this.#arrivals.forecast(nowMs),
      ...this.#dispatcher.latency,
    };
  }

  #enqueue(order: Order, pixels: Uint8Array, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const picture: Picture = {
        allowed: order.allowed,
        deadlineMs: deadlineOf(order),
        strict: order.strict,
        late: order.late,
        arrivalMs: this.#clock.now(),
        startMs: order.startMs,
        giveUpMs: giveUpOf(order, this.#maxWaitMs),
        pixels,
        resolve,
        reject,
      };
      this.#dispatcher.add(picture, signal);
    });
  }
}
