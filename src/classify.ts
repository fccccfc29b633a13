/** The story of one request: budget -> instances -> decode -> schedule -> labels. Knows no HTTP. */
import type { Config } from './config.js';
import { softmax, topIndices } from './engine/softmax.js';
import { DimmerError } from './errors.js';
import type { Instance } from './family/instance.js';
import type { Catalog, ServedFamily } from './family/served.js';
import type { Decoded } from './image/decoder.js';
import type { LatencyModel } from './latency/model.js';
import { type Budget, parseBudget } from './router/budget.js';
import { type Choice, choose, type Offer } from './router/choice.js';
import type { Clock } from './scheduler/clock.js';
import type { DecodeStage } from './scheduler/decoding.js';
import { type Admission, ANSWER_MS, type Outcome } from './scheduler/order.js';
import type { Scheduler } from './scheduler/scheduler.js';
import type { Metrics } from './telemetry/metrics.js';

/** What a request says before its body. */
export interface Question {
  /** The text of Inference-Budget; undefined if the request brings none. */
  readonly budget: string | undefined;
  readonly model?: string | undefined;
  /** Pins one instance. */
  readonly instance?: string | undefined;
  /** How many labels. */
  readonly top: number;
}

/** A question that can be answered, as far as that is known without the pictures. */
export interface Ask {
  readonly budget: Budget;
  readonly served: ServedFamily;
  readonly instance: string | undefined;
  readonly top: number;
}

/** What it is asked about. */
export interface Pictures {
  /** Encoded, at least one. */
  readonly images: readonly Uint8Array[];
  /** When the last body byte was read, in the clock's ms. */
  readonly startMs: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /** Called once the encoded pictures are not needed any more, unless one of them fails. */
  decoded(): void;
}

export interface Result {
  predictions: { label: string; index: number; probability: number }[];
  model_instance: { id: string; p: number; r: number };
  reason: string;
  cost: { flops: number; share: number };
  batchSize: number;
  timing: { decodeMs: number; queueMs: number; inferenceMs: number; totalMs: number; predictedMs: number };
}

export interface Classification {
  model: string;
  modelVersion: string;
  budget: Budget & { met: boolean };
  results: Result[];
}

export interface ClassifierParts {
  readonly catalog: Catalog;
  readonly scheduler: Scheduler;
  readonly decoding: DecodeStage;
  readonly model: LatencyModel;
  readonly clock: Clock;
  readonly config: Config;
  readonly metrics: Metrics;
}

interface Done {
  readonly outcome: Outcome;
  readonly decodeMs: number;
}

export class Classifier {
  readonly #parts: ClassifierParts;
  readonly #defaultBudget: Budget;

  constructor(parts: ClassifierParts) {
    this.#parts = parts;
    this.#defaultBudget = parseBudget(parts.config.DEFAULT_BUDGET);
  }

  /** Raises DimmerError for what no picture could change: budget, family, instance. */
  judge({ budget: text, model, instance, top }: Question): Ask {
    const budget = text === undefined ? this.#defaultBudget : parseBudget(text);
    const served = this.#parts.catalog.family(model);
    choose(budget, this.#offer(served, instance, 0));
    return { budget, served, instance, top };
  }

  /** Raises DimmerError; or the signal's reason if the client has gone. */
  async classify(ask: Ask, pictures: Pictures): Promise<Classification> {
    const { scheduler, decoding } = this.#parts;
    const { budget, served, instance } = ask;
    const { images, startMs, signal } = pictures;
    const { name } = served.family;
    // What is possible is judged by an idle host: judged by a busy one, a refusal would last as long as its memory.
    const idleMs = decoding.together(images.map((image) => decoding.leastMs(image, name)));
    const choice = choose(budget, this.#offer(served, instance, idleMs));
    const decodeMs = decoding.together(images.map((image) => decoding.expectMs(image, name)));

    const { allowed, latencyMs, late } = choice;
    const order = { allowed, latencyMs, late, strict: budget.strict, startMs };
    const admission = scheduler.admit(order, images.length, decodeMs + decoding.backlogMs);
    // Not AbortSignal.any: Node keeps what it returns, and all that listens to it, as long as the process lives (node#54614).
    const stop = new AbortController();
    const leave = () => stop.abort(signal.reason);
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    const cancelExpiry = this.#expire(admission, stop);
    let toDecode = images.length;
    const many = toDecode > 1;
    const oneDecoded = () => {
      toDecode -= 1;
      if (toDecode > 0) return;
      cancelExpiry(); // from here on the scheduler sees to it
      pictures.decoded();
    };
    try {
      const done = await Promise.all(
        images.map((image, index) =>
          this.#decode(image, served, stop.signal)
            .then(async ({ pixels, ms }): Promise<Done> => {
              oneDecoded();
              return { outcome: await admission.submit(pixels, stop.signal), decodeMs: ms };
            })
            .catch((error) => {
              throw many && error instanceof DimmerError ? error.atImage(index) : error;
            }),
        ),
      );
      return this.#answer(ask, startMs, choice, done);
    } catch (error) {
      stop.abort(error); // the first picture that fails answers the request; its others are dropped
      throw error;
    } finally {
      cancelExpiry();
      signal.removeEventListener('abort', leave);
      admission.end();
    }
  }

  /** Gives a request up when it can no longer be in time, wherever its pictures are. Returns what cancels that. */
  #expire({ lastStartMs, expired }: Admission, stop: AbortController): () => void {
    if (lastStartMs === Number.POSITIVE_INFINITY) return () => {};
    const { clock } = this.#parts;
    return clock.after(Math.max(0, lastStartMs - clock.now()), () => stop.abort(expired()));
  }

  /** Apart from what follows, so that nothing holds the encoded picture any more. */
  async #decode(image: Uint8Array, { family }: ServedFamily, signal: AbortSignal): Promise<Decoded> {
    const { decoding, metrics } = this.#parts;
    const { name, resize } = family;
    const decoded = await decoding.run({ image, family: name, resize, signal });
    metrics.decode.observe({ model: name }, decoded.ms / 1000);
    return decoded;
  }

  #offer(served: ServedFamily, pinned: string | undefined, decodeMs: number): Offer {
    const { model } = this.#parts;
    const instances = pinned === undefined ? served.instances : [served.instance(pinned)];
    return {
      instances,
      fullFlops: served.full.flops,
      idleMs: (i) => decodeMs + model.run(i.key, 1).idleMs + ANSWER_MS,
    };
  }

  #answer(
    { budget, served, instance: pinned, top }: Ask,
    startMs: number,
    choice: Choice,
    done: readonly Done[],
  ): Classification {
    const { clock, metrics } = this.#parts;
    const { name, version, labels } = served.family;
    const reason = pinned === undefined ? choice.reason : 'pinned by the request';
    const totalMs = clock.now() - startMs;
    const results = done.map(({ outcome, decodeMs }): Result => {
      const { instance, logits, batchSize, queueMs, inferenceMs, predictedMs } = outcome;
      const probabilities = softmax(logits, instance.temperature);
      const predictions = topIndices(probabilities, top).map((index) => ({
        label: labels[index] as string,
        index,
        probability: round(probabilities[index] as number, 6),
      }));
      const { id, p, r, flops, share } = instance;
      const timing = { decodeMs, queueMs, inferenceMs, totalMs, predictedMs };
      return {
        predictions,
        model_instance: { id, p, r },
        reason,
        cost: { flops, share: round(share, 6) },
        batchSize,
        timing: Object.fromEntries(Object.entries(timing).map(([k, ms]) => [k, round(ms, 3)])) as typeof timing,
      };
    });
    const met = done.every(({ outcome }) => holds(budget, outcome.instance, totalMs));
    for (const { outcome } of done) observe(metrics, outcome, totalMs);
    if (budget.latency !== undefined) {
      metrics.promises.inc({ model: name, kept: String(totalMs <= budget.latency), strict: String(budget.strict) });
    }
    return { model: name, modelVersion: version, budget: { ...budget, met }, results };
  }
}

/** Whether every member of the budget held, as measured. */
function holds({ flops, cost, accuracy, latency }: Budget, instance: Instance, totalMs: number): boolean {
  return (
    (flops === undefined || instance.flops <= flops) &&
    (cost === undefined || instance.share <= cost) &&
    (accuracy === undefined || instance.accuracy >= accuracy) &&
    (latency === undefined || totalMs <= latency)
  );
}

function observe(metrics: Metrics, { instance, queueMs, inferenceMs, batchSize }: Outcome, totalMs: number): void {
  const model = { model: instance.family };
  const labels = { ...model, instance: instance.id };
  metrics.pictures.inc(labels);
  metrics.queue.observe(labels, queueMs / 1000);
  metrics.inference.observe(labels, inferenceMs / 1000);
  metrics.total.observe(labels, totalMs / 1000);
  metrics.batchSize.observe(labels, batchSize);
  metrics.accuracy.inc(model, instance.accuracy);
  metrics.cost.inc(model, instance.share);
  metrics.flops.inc(model, instance.flops);
}

const round = (value: number, digits: number) => Number(value.toFixed(digits));
