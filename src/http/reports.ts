/** Reports requests that classify to metrics, log and /live. Both protocols use it. */
import type { BaseLogger } from 'pino';
import { serializeDictionary } from 'structured-headers';
import type { Ask, Classification, Result } from '../classify.js';
import type { DimmerError } from '../errors.js';
import type { Answered } from '../telemetry/live.js';
import { PROBLEMS } from './problem.js';
import type { State } from './state.js';

/**
 * Status (499, as in nginx) and reason, in metrics, of requests whose client closed the connection before the answer.
 */
export const GONE = [499, 'client-gone'] as const;

/**
 * Characters of a refusal's text that are logged. Only texts with a name that the client made up are longer, which over
 * gRPC may have MiB.
 */
const MOST_LOGGED = 1000;

type Log = Pick<BaseLogger, 'info' | 'warn' | 'error'>;
type Told = Pick<State, 'metrics' | 'live' | 'running'>;

/** Reports an answer. key: name of the API key of the request. */
export function reportAnswer(
  { metrics, live }: Told,
  log: Log,
  ask: Ask,
  answer: Classification,
  key: string | undefined,
): void {
  metrics.requests.inc({ status: 200, reason: 'ok' });
  live.answered(() => answeredFacts(answer, ask));
  log.info({ ...logFacts(answer), key }, 'answered');
}

/**
 * Reports a request that was not answered, to metrics and /live; logRefusal logs it.
 *
 * promisedMs: the latency, in ms, that the request asked for; undefined if it had none or none that could be read.
 */
export function reportFailure(
  { metrics, live, running }: Told,
  log: Log,
  [status, reason]: readonly [status: number, reason: string],
  promisedMs: () => number | undefined,
): void {
  metrics.requests.inc({ status, reason });
  if (reason === 'client-gone') log.info({ reason }, 'client gone');
  // A refusal counts as a broken promise only if the client did not cause it (4xx).
  else live.refused(() => (status >= 500 && running ? promisedMs() : undefined));
}

/**
 * Logs a refusal. error: what was thrown; known: the same as the client is told; key: name of the API key of the request.
 */
export function logRefusal(log: Log, error: unknown, known: DimmerError, key: string | undefined): void {
  const { status } = PROBLEMS[known.code];
  if (status >= 500 && known !== error) log.error({ err: error }, 'unexpected error');
  else if (known.cause !== undefined) log.error({ err: known.cause }, known.code);
  const detail = known.facts.detail.slice(0, MOST_LOGGED);
  log[status >= 500 ? 'warn' : 'info']({ status, reason: known.code, detail, key }, 'refused');
}

/** The headers that say what an answer took and cost. */
export const costHeaders = ({ results }: Classification) => ({
  'Server-Timing': serverTiming(results),
  'Inference-Cost': inferenceCost(results),
});

function serverTiming(results: readonly Result[]): string {
  const longest = (stage: keyof Result['timing']) => Math.max(...results.map((r) => r.timing[stage]));
  const stages = { decode: 'decodeMs', queue: 'queueMs', infer: 'inferenceMs', total: 'totalMs' } as const;
  return Object.entries(stages)
    .map(([name, stage]) => `${name};dur=${longest(stage)}`)
    .join(', ');
}

/** The header Inference-Cost: sums over the pictures, as a structured field, in which decimals have three digits. */
function inferenceCost(results: readonly Result[]): string {
  const total = (of: (r: Result) => number) => results.map(of).reduce((a, b) => a + b, 0);
  const instances = [...new Set(results.map((r) => r.model_instance.id))];
  return serializeDictionary(
    new Map<string, never>([
      ['flops', [total((r) => r.cost.flops), new Map()] as never],
      ['share', [Number(total((r) => r.cost.share).toFixed(3)), new Map()] as never],
      ['instances', [instances.map((id) => [id, new Map()]), new Map()] as never],
    ]),
  );
}

function answeredFacts({ model, budget, results }: Classification, { served }: Ask): Answered {
  return {
    model,
    pictures: results.map(({ model_instance: { id }, cost }) => {
      return { instance: id, accuracy: served.instance(id).accuracy, share: cost.share };
    }),
    totalMs: Math.max(...results.map((r) => r.timing.totalMs)),
    promisedMs: budget.latency,
  };
}

function logFacts({ model, modelVersion, budget, results }: Classification) {
  const pictures = results.map((r) => ({
    instance: r.model_instance.id,
    flops: r.cost.flops,
    batchSize: r.batchSize,
    ...r.timing,
  }));
  return { model, modelVersion, budget, pictures };
}
