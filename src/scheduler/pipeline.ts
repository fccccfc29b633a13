/** Takes pictures through decoding and a network, as the plan says. Failures reject pictures; no method throws. */
import type { Engine } from '../engine/engine.js';
import type { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import type { Decoder } from '../image/decoder.js';
import type { Latency } from '../latency/model.js';
import { simpleNext } from '../plan/fallback.js';
import type { Action, Next } from '../plan/next.js';
import type { Running, Snapshot } from '../plan/snapshot.js';
import type { Clock } from './clock.js';
import type { Faults } from './faults.js';
import type { Margin } from './margin.js';
import { BatchStay, Stay } from './passage.js';
import { makesProgress } from './progress.js';
import { type Picture, Queue } from './queue.js';
import { deadlineExceeded, internal, waitedTooLong } from './refusals.js';
import type { Shadow } from './shadow.js';

/** The decoder, as the pipeline needs it; benches and tests pass a fake. */
export type Decoding = Pick<Decoder, 'places' | 'decode' | 'onIdle'>;
/** The engine, as the pipeline needs it; benches and tests pass a fake. */
export type Networks = Pick<Engine, 'batchSizes' | 'threads' | 'idle' | 'keeps' | 'run' | 'onIdle'>;

export interface PipelineOptions {
  readonly engine: Networks;
  readonly decoder: Decoding;
  readonly latency: Latency;
  readonly clock: Clock;
  readonly next: Next;
  readonly margin: Margin;
  readonly shadow: Shadow | undefined;
  readonly faults: Faults;
  readonly maxWaitMs: number;
  snapshot(): Snapshot<Picture>;
  /** The backlog: ms until everything that waits and runs now would be done. */
  backlogMs(): number;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #queue = new Queue();
  readonly #runs = new Set<Running>();
  readonly #unsubscribe: readonly (() => void)[];
  #stepping = false;
  #batches = 0;
  #cancelTimer = () => {};
  #decodeMs = 0;
  #networkMs = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
    const step = () => this.step();
    this.#unsubscribe = [options.engine.onIdle(step), options.decoder.onIdle(step)];
  }

  /** CPU time that decodes and networks should have taken so far, by the latency model. */
  get spent(): { readonly decodeMs: number; readonly networkMs: number } {
    return { decodeMs: this.#decodeMs, networkMs: this.#networkMs };
  }

  /** Admitted pictures that are not running, in order of rank. */
  get waiting(): readonly Picture[] {
    return this.#queue.all;
  }

  get running(): readonly Running[] {
    return [...this.#runs];
  }

  add(pictures: readonly Picture[]): void {
    for (const picture of pictures) this.#queue.insert(picture);
    this.step();
  }

  /** Removes pictures that are not running yet and rejects them with `why`; their decodes are stopped. */
  remove(pictures: readonly Picture[], why: Error): void {
    this.#end(pictures, () => why);
    this.step();
  }

  /** Ends timers and subscriptions. The caller has made sure that no picture waits. */
  close(): void {
    this.#cancelTimer();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Carries out the plan's actions until the plan says to wait. */
  step(): void {
    if (this.#stepping) return; // called within a step: the loop below asks the plan again anyway
    this.#stepping = true;
    try {
      this.#giveUp();
      let action = this.#ask();
      for (; action.type !== 'wait'; action = this.#ask()) this.#act(action);
      this.#wakeAt(Math.min(action.untilMs, this.#queue.nextMs));
      this.#runShadow();
    } catch (error) {
      this.#options.faults.tell(error);
      this.#end([...this.#queue.all], internal);
    } finally {
      this.#stepping = false;
    }
  }

  /** The plan's next action, or the fallback's if the plan throws or its action makes no progress. */
  #ask(): Action<Picture> {
    if (this.#queue.length === 0) return { type: 'wait', untilMs: Number.POSITIVE_INFINITY };
    const { faults, next, snapshot } = this.#options;
    return faults.orElse(
      () => {
        const now = snapshot();
        const action = next(now);
        if (!makesProgress(action, now)) throw new Error(`the plan's action makes no progress: ${action.type}`);
        return action;
      },
      () => simpleNext(snapshot()),
    );
  }

  #act(action: Exclude<Action<Picture>, { type: 'wait' }>): void {
    switch (action.type) {
      case 'drop':
        this.#drop(action.pictures);
        return;
      case 'decode':
        void this.#decode(action.picture);
        return;
      case 'run':
        void this.#run(action.instance, action.pictures);
    }
  }

  /** Strict pictures expire; the others are best effort from now on. */
  #drop(pictures: readonly Picture[]): void {
    const { clock, margin } = this.#options;
    for (const { promised } of pictures) if (promised) margin.learn(true);
    this.#end(
      pictures.filter((p) => p.strict),
      (p) => deadlineExceeded(clock.now() - p.startMs),
    );
    const others = pictures.filter((p) => !p.strict);
    this.#queue.remove(others);
    for (const picture of others) {
      picture.bestEffort = true;
      this.#queue.insert(picture);
    }
  }

  /** Refuses the pictures that have waited too long (see giveUpOf). */
  #giveUp(): void {
    const { clock, maxWaitMs, backlogMs } = this.#options;
    const nowMs = clock.now();
    const overdue = this.#queue.all.filter((p) => p.giveUpMs <= nowMs);
    if (overdue.length === 0) return;
    const backlog = backlogMs();
    this.#end(overdue, (p) => waitedTooLong(nowMs - p.startMs, maxWaitMs, backlog));
  }

  /** Removes pictures from the queue and rejects them; pictures that are no longer in the queue are left alone. */
  #end(pictures: readonly Picture[], why: (picture: Picture) => Error): void {
    const here = pictures.filter((p) => this.#queue.has(p));
    this.#queue.remove(here);
    for (const picture of here) {
      const error = why(picture);
      picture.bytes = picture.pixels = undefined;
      picture.reject(error);
      picture.stop.abort(error);
    }
  }

  async #decode(picture: Picture): Promise<void> {
    const { clock, decoder, latency, faults } = this.#options;
    picture.stage = 'decoding';
    const { family, resize, size, long, stop } = picture;
    const stay = new Stay(clock.now());
    picture.passage.decode = stay;
    try {
      const { pixels, ms } = await decoder.decode(picture.bytes as Uint8Array, resize, { long, signal: stop.signal });
      stay.end(clock.now());
      faults.attempt(() => latency.decoded(family, size.kind, size.megapixels, ms));
      if (stop.signal.aborted) return;
      this.#decodeMs += picture.decode.cpuMs;
      Object.assign(picture, { stage: 'decoded', bytes: undefined, pixels, decodeMs: ms });
      picture.decoded();
    } catch (error) {
      stay.end(clock.now(), true);
      this.#end([picture], () => error as Error);
    }
    this.step();
  }

  async #run(instance: Instance, pictures: readonly Picture[]): Promise<void> {
    const { clock, engine, faults, shadow } = this.#options;
    const dispatchedMs = clock.now();
    this.#queue.remove(pictures);
    const run = this.#begin(instance, pictures.length);
    const predictedMs = run.endMs - dispatchedMs;
    this.#batches += 1;
    const stay = new BatchStay(dispatchedMs, instance, pictures.length, this.#batches);
    for (const { passage } of pictures) passage.run = stay;
    try {
      const all = await engine.run(
        instance,
        pictures.map((p) => p.pixels as Uint8Array),
      );
      const inferenceMs = clock.now() - dispatchedMs;
      stay.end(dispatchedMs + inferenceMs);
      faults.attempt(() => this.#learn(instance, pictures, inferenceMs));
      pictures.forEach((picture, index) => {
        const logits = all[index] as Float32Array;
        faults.attempt(() => picture.ran?.(instance));
        picture.resolve({
          instance,
          logits,
          batchSize: pictures.length,
          decodeMs: picture.decodeMs,
          queueMs: dispatchedMs - picture.arrivalMs - picture.decodeMs,
          inferenceMs,
          predictedMs: dispatchedMs - picture.startMs + predictedMs,
        });
        faults.attempt(() => shadow?.offer({ instance, pixels: picture.pixels as Uint8Array, logits }));
      });
    } catch (error) {
      stay.end(clock.now(), true);
      for (const picture of pictures) picture.reject(error as DimmerError);
    } finally {
      this.#runs.delete(run);
      for (const picture of pictures) picture.pixels = undefined;
      this.step(); // the thread's idle event came before the answer was offered to the shadow
    }
  }

  #learn(instance: Instance, pictures: readonly Picture[], inferenceMs: number): void {
    const { engine, latency, margin, clock } = this.#options;
    // The time of an instance that is loaded for its run includes loading, which the model does not predict.
    if (engine.keeps(instance)) latency.ran(instance.key, pictures.length, inferenceMs);
    this.#networkMs += latency.run(instance.key, pictures.length).cpuMs;
    const nowMs = clock.now();
    for (const { promised, bestEffort, deadlineMs } of pictures)
      if (promised && !bestEffort) margin.learn(nowMs > deadlineMs);
  }

  /** Adds a run to #runs, with its predicted end; the caller deletes it when the run has ended. */
  #begin(instance: Instance, size: number): Running {
    const { clock, latency, faults } = this.#options;
    const startMs = clock.now();
    const { meanMs, cpuMs } = faults.orElse(
      () => latency.run(instance.key, size),
      () => ({ meanMs: 1, cpuMs: 1 }),
    );
    const run = { startMs, endMs: startMs + meanMs, cpuMs };
    this.#runs.add(run);
    return run;
  }

  /** Starts a shadow run if no picture waits and nothing runs: it could not be cancelled for a picture that arrives. */
  #runShadow(): void {
    const { engine, shadow, faults } = this.#options;
    faults.attempt(() => {
      if (this.#queue.length > 0 || this.#runs.size > 0 || engine.idle === 0) return;
      const next = shadow?.take();
      if (!next) return;
      const { answered, full } = next;
      const run = this.#begin(full, 1);
      engine
        .run(full, [answered.pixels])
        .then(([logits]) => faults.attempt(() => shadow?.compare(answered, logits as Float32Array)))
        .catch(() => {}) // the pool logs what happened to its thread, and no client waits for a shadow run
        .finally(() => {
          this.#runs.delete(run);
          this.step();
        });
    });
  }

  /** Sets the one timer that calls `step`; ms: time of the clock, Infinity for none. */
  #wakeAt(ms: number): void {
    const { clock } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (ms === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = clock.after(Math.max(1, ms - clock.now()), () => this.step());
  }
}
