/** Runs what waits whenever an engine thread is free, as the policy says. Nothing that fails in it reaches who calls it. */
import type { Engine } from '../engine/engine.js';
import type { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import { getOrInsert } from '../get-or-insert.js';
import type { LatencyModel } from '../latency/model.js';
import { type Load, wholeBacklogMs } from '../policy/admission.js';
import type { Forecast } from '../policy/arrivals.js';
import { cheapestOf, firstAlone } from '../policy/fallback.js';
import { fastest, type Latency } from '../policy/picture.js';
import type { Decision, Policy } from '../policy/policy.js';
import type { Clock } from './clock.js';
import type { Faults } from './faults.js';
import { lastDueMs, type Reservation } from './order.js';
import { type Picture, Queue } from './queue.js';
import { deadlineExceeded, internal, waitedTooLong } from './refusals.js';
import type { Shadow } from './shadow.js';

/** How long runs take, and what learns of those that served. */
export type RunModel = Pick<LatencyModel, 'run' | 'ran'>;

export interface DispatcherOptions {
  readonly engine: Engine;
  readonly model: RunModel;
  readonly clock: Clock;
  readonly policy: Policy;
  readonly shadow: Shadow | undefined;
  readonly faults: Faults;
  readonly maxWaitMs: number;
  /** Pictures that are admitted and not in the queue yet. */
  readonly reservations: Iterable<Reservation>;
  /** All that is known of what is to be done and of who may do it. */
  load(): Load & Forecast;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #engine: Engine;
  readonly #model: RunModel;
  readonly #clock: Clock;
  readonly #faults: Faults;
  readonly #queue = new Queue();
  /** When each running batch should end. */
  readonly #running = new Map<symbol, number>();
  #cancelTimer = () => {};
  /** One list for all that allow the same: the policy knows them by identity. */
  readonly #lists = new Map<string, readonly Instance[]>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#engine = options.engine;
    this.#model = options.model;
    this.#clock = options.clock;
    this.#faults = options.faults;
    this.#engine.onIdle = () => this.dispatch();
  }

  /** So far: pictures run, and ms of CPU that their networks should have taken. */
  readonly spent = { pictures: 0, engineMs: 0 };

  /** Told how many decoded pictures wait, whenever that may have changed. */
  onQueue: (waiting: number) => void = () => {};

  get waiting(): readonly Picture[] {
    return this.#queue.all;
  }

  /** Pictures admitted and not in the queue yet. */
  get reserved(): number {
    let places = 0;
    for (const r of this.#options.reservations) places += r.places;
    return places;
  }

  /** When each running batch should end. */
  get runningUntilMs(): number[] {
    return [...this.#running.values()];
  }

  readonly latency: Latency = {
    predict: ({ key }, size) => this.#model.run(key, size).highMs,
    expect: ({ key }, size) => this.#model.run(key, size).meanMs,
    cost: ({ key }, size) => this.#model.run(key, size).cpuMs,
  };

  /** Runs it when its turn has come. `gone`: its client does not wait any longer. */
  add(picture: Picture, gone: AbortSignal): void {
    // A run cannot be cancelled; a picture that still waits can.
    gone.addEventListener(
      'abort',
      () => {
        this.#queue.drop(picture.pixels);
        picture.reject(gone.reason);
      },
      { once: true },
    );
    this.#queue.insert(picture);
    this.dispatch();
  }

  /** The same list for all that allow the same. */
  list(allowed: readonly Instance[]): readonly Instance[] {
    return getOrInsert(this.#lists, allowed.map((i) => i.key).join(), () => allowed);
  }

  /** Whatever fails in it, nothing is thrown at who calls, be it a timer or an engine thread, and every picture is answered. */
  dispatch(wokenByTimer = false): void {
    try {
      // With every thread busy, or dead, nobody else would notice who has expired.
      if (wokenByTimer && this.#engine.idle === 0) this.#decide();
      const wakeMs = this.#runAll();
      this.#giveUp();
      this.#faults.attempt(() => this.onQueue(this.#queue.length));
      this.#wakeAt(wakeMs);
      this.#runShadow();
    } catch (error) {
      this.#faults.tell(error);
      for (const { reject } of this.#queue.takeAll()) reject(internal());
    }
  }

  #giveUp(): void {
    const nowMs = this.#clock.now();
    const overdue = this.#queue.takeOverdue(nowMs);
    if (overdue.length === 0) return;
    const backlogMs = this.#faults.orNothing(() => wholeBacklogMs(this.#options.load()));
    for (const { startMs, reject } of overdue)
      reject(waitedTooLong(nowMs - startMs, this.#options.maxWaitMs, backlogMs));
  }

  /** As long as there are pictures and free threads. Returns when to look again even if nothing happens before. */
  #runAll(): number {
    while (this.#queue.length && this.#engine.idle > 0) {
      const { run, turnedLate, waitUntilMs } = this.#decide();
      if (run) void this.#run(run.instance, run.pictures, run.predictedMs);
      else if (!turnedLate.length) return waitUntilMs ?? Number.POSITIVE_INFINITY;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Only when nobody waits, is decoded or runs: a run cannot be cancelled for one who comes. */
  #runShadow(): void {
    this.#faults.attempt(() => {
      if (this.#queue.length + this.reserved > 0 || this.#engine.idle < this.#engine.threads) return;
      const next = this.#options.shadow?.take();
      if (!next) return;
      const { answered, full } = next;
      const run = this.#begin(full, 1);
      this.#engine
        .run(full, [answered.pixels])
        .then(([logits]) => this.#faults.attempt(() => this.#options.shadow?.compare(answered, logits as Float32Array)))
        .catch(() => {}) // the pool says what happened to its thread; nobody waits for this
        .finally(() => this.#running.delete(run));
    });
  }

  /** Notes a run until it is deleted from #running. */
  #begin(instance: Instance, size: number): symbol {
    const run = Symbol(instance.key);
    this.#running.set(run, this.#clock.now() + this.#faults.orNothing(() => this.latency.predict(instance, size)));
    return run;
  }

  /** Takes out of the queue what the decision takes: pictures to run, and those that can no longer be in time. */
  #decide(): Decision<Picture> {
    const nowMs = this.#clock.now();
    const idle = this.#engine.idle;
    const decision = this.#ask(nowMs, idle);
    const { expired, turnedLate, run } = decision;
    this.#queue.remove(new Set([...expired, ...turnedLate, ...(run && idle ? run.pictures : [])]));
    for (const picture of expired) picture.reject(deadlineExceeded(nowMs - picture.startMs));
    for (const picture of turnedLate) {
      this.#queue.insert({ ...picture, allowed: this.list([this.quickest(picture.allowed)]), late: true });
    }
    return decision;
  }

  /** What the policy says; if it fails, what always works. */
  #ask(nowMs: number, idle: number): Decision<Picture> {
    const waiting = this.#queue.all;
    return this.#faults.orElse(
      () => {
        const decoding = { decoding: this.reserved, decodingDueMs: lastDueMs(this.#options.reservations) };
        const decision = this.#options.policy(waiting, {
          ...this.#options.load(),
          idle: Math.max(1, idle),
          ...decoding,
        });
        if (this.#leadsNowhere(decision)) throw new Error('the policy runs nothing, and nothing would wake it');
        return decision;
      },
      () => firstAlone(waiting, nowMs),
    );
  }

  #leadsNowhere({ run, expired, turnedLate, waitUntilMs }: Decision<Picture>): boolean {
    if (run) return run.pictures.length === 0;
    const wakes = waitUntilMs !== undefined && Number.isFinite(waitUntilMs);
    const others = this.#engine.idle < this.#engine.threads || this.reserved > 0; // who ends or comes wakes it
    return !wakes && !others && expired.length + turnedLate.length === 0;
  }

  /** The one that runs alone the fastest; the one of least FLOPs if that cannot be told. */
  quickest(allowed: readonly Instance[]): Instance {
    return this.#faults.orElse(
      () => fastest(allowed, this.latency.predict),
      () => cheapestOf(allowed),
    );
  }

  /** Or when the next picture expires or waits no longer: with every thread busy (or dead) nobody else would notice. */
  #wakeAt(ms: number): void {
    this.#cancelTimer();
    const next = Math.min(ms, this.#queue.nextMs);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.after(Math.max(1, next - this.#clock.now()), () => this.dispatch(true));
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
      this.#faults.attempt(() => this.#learn(instance, pictures.length, inferenceMs));
      pictures.forEach((picture, index) => {
        picture.resolve({
          instance,
          logits: logits[index] as Float32Array,
          batchSize: pictures.length,
          queueMs: dispatchedMs - picture.arrivalMs,
          inferenceMs,
          predictedMs: dispatchedMs - picture.startMs + predictedMs,
        });
        this.#faults.attempt(() =>
          this.#options.shadow?.offer({ instance, pixels: picture.pixels, logits: logits[index] as Float32Array }),
        );
      });
    } catch (error) {
      for (const picture of pictures) picture.reject(error as DimmerError);
    } finally {
      this.#running.delete(run);
      this.#runShadow(); // the thread said that it is idle before this answer could be offered
    }
  }

  #learn(instance: Instance, size: number, inferenceMs: number): void {
    this.spent.pictures += size;
    // One that is loaded when it is asked for took that time, too, and says nothing of the others.
    if (this.#engine.keeps(instance)) this.#model.ran(instance.key, size, inferenceMs);
    this.spent.engineMs += this.#model.run(instance.key, size).cpuMs;
  }
}
