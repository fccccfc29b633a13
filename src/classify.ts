/** Handles one request, without HTTP: budget -> allowed instances -> scheduler -> labels. */
import type { Config } from './config.js';
import { softmax, topIndices } from './engine/softmax.js';
import type { Instance } from './family/instance.js';
import type { Catalog, ServedFamily } from './family/served.js';
import { peek } from './image/peek.js';
import type { Latency } from './latency/model.js';
import { traceBudget, traceStages } from './picture-spans.js';
import { type Budget, parseBudget } from './router/budget.js';
import { type Choice, choose, type Offer } from './router/choice.js';
import { budgetOf, type Parameters } from './router/parameters.js';
import type { Clock } from './scheduler/clock.js';
import { ANSWER_MS, type Pictures as Encoded, type Order, type Outcome } from './scheduler/order.js';
import type { Passage } from './scheduler/passage.js';
import type { Scheduler } from './scheduler/scheduler.js';
import type { Metrics } from './telemetry/metrics.js';
import { Statistics } from './telemetry/statistics.js';
import type { RequestTrace } from './telemetry/tracing.js';

export type { Parameter, Parameters } from './router/parameters.js';

/** Query and budget of a request, as in its head. */
export interface Question {
  /** Text of the header Inference-Budget; undefined if it is missing. */
  readonly budget: string | undefined;
  /** The same limits as flat parameters of the Open Inference Protocol; parameters with other names are ignored. */
  readonly parameters?: Parameters;
  /** One more latency, in ms: what is left until the deadline of a gRPC call. The smallest latency holds. */
  readonly deadlineMs?: number | undefined;
  /** Name of the family; undefined for the default one. */
  readonly model?: string | undefined;
  /** Id of the only instance that may answer (pinned); undefined if the budget decides. */
  readonly instance?: string | undefined;
  /** How many labels to answer with. */
  readonly top: number;
  readonly trace?: RequestTrace | undefined;
}

/** A question that was read and checked, as far as that is possible without the pictures. */
export interface Ask {
  readonly budget: Budget;
  readonly served: ServedFamily;
  readonly instance: string | undefined;
  readonly top: number;
}

/** The pictures of a request, and when it was read. */
export interface Pictures extends Encoded {
  /** When the last body byte was read, in the clock's ms. */
  readonly startMs: number;
  /** Called with its instance for each picture that a network has run: whatever becomes of the request, it is to be paid. */
  ran(instance: Instance): void;
  readonly trace?: RequestTrace | undefined;
}

/** Answer for one picture. */
export interface Result {
  predictions: { label: string; index: number; probability: number }[];
  model_instance: { id: string; network?: string | undefined; p: number; r: number };
  reason: string;
  cost: { flops: number; share: number };
  batchSize: number;
  timing: { decodeMs: number; queueMs: number; inferenceMs: number; totalMs: number; predictedMs: number };
}

/** Answer to a request. */
export interface Classification {
  model: string;
  modelVersion: string;
  budget: Budget & { met: boolean };
  results: Result[];
}

/** The output of a network for one picture. */
export interface Scores {
  /** [classes] */
  readonly logits: Float32Array;
  /** [classes], from the logits by the temperature of the instance that ran. */
  readonly probabilities: Float64Array;
  /** The indices of this number of classes, the most probable first. */
  largest(count: number): number[];
}

/** A classification with all scores, one entry for each picture. */
export interface Scored {
  readonly answer: Classification;
  readonly scores: readonly Scores[];
}

export interface ClassifierParts {
  readonly catalog: Catalog;
  readonly scheduler: Scheduler;
  readonly latency: Latency;
  readonly clock: Clock;
  readonly config: Config;
  readonly metrics: Metrics;
}

export class Classifier {
  readonly statistics = new Statistics();
  readonly #parts: ClassifierParts;
  readonly #defaultBudget: Budget;

  constructor(parts: ClassifierParts) {
    this.#parts = parts;
    this.#defaultBudget = parseBudget(parts.config.DEFAULT_BUDGET);
  }

  /**
   * Checks a question before the body is read. Raises DimmerError if the request would be refused whatever its pictures
   * are: because of the budget, family, instance or the present load.
   */
  judge({ budget: text, parameters, deadlineMs, model, instance, top, trace }: Question): Ask {
    const budget = budgetOf(text, parameters ?? {}, this.#defaultBudget, deadlineMs);
    if (trace) traceBudget(trace, budget);
    const served = this.#parts.catalog.family(model);
    trace?.set({ 'dimmer.model': served.family.name, 'dimmer.model_version': served.family.version });
    const ask = { budget, served, instance, top };
    this.#parts.scheduler.assertRoom(orderOf(ask, choose(budget, this.#offer(ask, 0))));
    return ask;
  }

  /**
   * The latency in a budget text, in ms; undefined if it has none or is invalid. For undefined, the default budget's.
   */
  latencyOf(text: string | undefined): number | undefined {
    try {
      return (text === undefined ? this.#defaultBudget : parseBudget(text)).latency;
    } catch {
      return undefined;
    }
  }

  /**
   * Classifies the pictures of a request. Raises DimmerError, or the signal's reason once the client has disconnected.
   */
  async classify(ask: Ask, pictures: Pictures): Promise<Classification> {
    return (await this.score(ask, pictures)).answer;
  }

  /** Like `classify`, and returns the scores of all classes as well. */
  async score(ask: Ask, pictures: Pictures): Promise<Scored> {
    const { startMs } = pictures;
    const statistics = this.statistics.of(ask.served.family.name);
    const sinceStartMs = () => this.#parts.clock.now() - startMs;
    try {
      const { choice, outcomes } = await this.#run(ask, pictures);
      const scored = this.#answer(ask, startMs, choice, outcomes, pictures.trace);
      statistics.answered(outcomes, sinceStartMs());
      return scored;
    } catch (error) {
      statistics.failed(sinceStartMs());
      throw error;
    }
  }

  async #run(ask: Ask, pictures: Pictures): Promise<{ choice: Choice; outcomes: readonly Outcome[] }> {
    const { startMs, images, trace } = pictures;
    const bytes = images.reduce((sum, image) => sum + image.length, 0);
    let passages: readonly Passage[] = [];
    const admitted = (all: readonly Passage[]) => {
      passages = all;
    };
    try {
      // Feasibility (422) is judged by the times of an idle host. The live factor of a past overload must not make a
      // latency infeasible: while everything is refused, no run would correct it.
      const choice = choose(ask.budget, this.#offer(ask, this.#leastDecodeMs(ask, images)));
      const order = { ...orderOf(ask, choice), startMs };
      const outcomes = await this.#parts.scheduler.classify(order, { ...pictures, admitted });
      return { choice, outcomes };
    } finally {
      if (trace?.sampled) traceStages(trace, { startMs, bytes, passages, nowMs: this.#parts.clock.now() });
    }
  }

  /** Lower bound of the ms until all pictures are decoded: the longest one, or all of them shared out over the CPUs. */
  #leastDecodeMs({ served }: Ask, images: readonly Uint8Array[]): number {
    const { latency, config } = this.#parts;
    const each = images.map((image) => {
      const { kind, megapixels } = peek(image);
      return latency.decode(served.family.name, kind, megapixels).cpuMs; // CPU time: the least that a decode can take
    });
    return Math.max(...each, each.reduce((a, b) => a + b, 0) / config.CPUS);
  }

  /** The instances to choose from, with their times on an idle host; decodeMs: for decoding all pictures. */
  #offer({ served, instance: pinned }: Ask, decodeMs: number): Offer {
    const { latency } = this.#parts;
    const instances = pinned === undefined ? served.instances : [served.instance(pinned)];
    const idleMs = (i: Instance) => decodeMs + latency.run(i.key, 1).idleMs + ANSWER_MS;
    return { instances, fullFlops: served.full.flops, idleMs };
  }

  #answer(
    { budget, served, instance: pinned, top }: Ask,
    startMs: number,
    choice: Choice,
    outcomes: readonly Outcome[],
    trace: RequestTrace | undefined,
  ): Scored {
    const { clock, metrics } = this.#parts;
    const { name, version, labels } = served.family;
    const reason = pinned === undefined ? choice.reason : 'pinned by the request';
    const totalMs = clock.now() - startMs;
    const scores: Scores[] = [];
    const results = outcomes.map((outcome): Result => {
      const { instance, logits, batchSize, decodeMs, queueMs, inferenceMs, predictedMs } = outcome;
      const probabilities = softmax(logits, instance.temperature);
      // By logits: probabilities of unlikely classes can all be 0.
      scores.push({ logits, probabilities, largest: (count) => topIndices(logits, count) });
      const predictions = topIndices(probabilities, top).map((index) => ({
        label: labels[index] as string,
        index,
        probability: round(probabilities[index] as number, 6),
      }));
      const { id, network, p, r, flops, share } = instance;
      const timing = { decodeMs, queueMs, inferenceMs, totalMs, predictedMs };
      return {
        predictions,
        model_instance: { id, network, p, r },
        reason,
        cost: { flops, share: round(share, 6) },
        batchSize,
        timing: Object.fromEntries(Object.entries(timing).map(([k, ms]) => [k, round(ms, 3)])) as typeof timing,
      };
    });
    const met = outcomes.every(({ instance }) => holds(budget, instance, totalMs));
    trace?.set({ 'dimmer.reason': reason, 'dimmer.budget.met': met });
    for (const outcome of outcomes) observe(metrics, outcome, totalMs, trace);
    if (budget.latency !== undefined) {
      metrics.promises.inc({ model: name, kept: String(totalMs <= budget.latency), strict: String(budget.strict) });
    }
    return { answer: { model: name, modelVersion: version, budget: { ...budget, met }, results }, scores };
  }
}

/** The order for the scheduler, without the time at which the request was read. */
const orderOf = ({ budget, served }: Ask, { allowed, latencyMs, bestEffort }: Choice): Omit<Order, 'startMs'> => ({
  allowed,
  family: served.family.name,
  resize: served.family.resize,
  latencyMs,
  strict: budget.strict,
  bestEffort,
});

/** Whether the answer kept every limit of the budget. totalMs: measured time of the answer. */
function holds({ flops, cost, accuracy, latency }: Budget, instance: Instance, totalMs: number): boolean {
  return (
    (flops === undefined || instance.flops <= flops) &&
    (cost === undefined || instance.share <= cost) &&
    (accuracy === undefined || instance.accuracy >= accuracy) &&
    (latency === undefined || totalMs <= latency)
  );
}

/** Adds one picture's outcome to the metrics. */
function observe(metrics: Metrics, outcome: Outcome, totalMs: number, trace: RequestTrace | undefined): void {
  const { instance, decodeMs, queueMs, inferenceMs, batchSize } = outcome;
  const model = { model: instance.family };
  const labels = { ...model, instance: instance.id };
  metrics.pictures.inc(labels);
  metrics.decode.observe(model, decodeMs / 1000);
  metrics.queue.observe(labels, queueMs / 1000);
  metrics.inference.observe(labels, inferenceMs / 1000);
  // An exemplar, by which a dashboard leads from a slow bucket to a trace; labels as OpenTelemetry names them.
  const exemplarLabels: object = trace?.sampled ? { trace_id: trace.traceId, span_id: trace.spanId } : {};
  metrics.total.observe({ labels, value: totalMs / 1000, exemplarLabels });
  metrics.batchSize.observe(labels, batchSize);
  metrics.accuracy.inc(model, instance.accuracy);
  metrics.cost.inc(model, instance.share);
  metrics.flops.inc(model, instance.flops);
}

const round = (value: number, digits: number) => Number(value.toFixed(digits));
