/** Requests to one service under test, and measurements of its CPU time. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { generate } from '../load/generate.js';
import type { GeneratorEvent, Job, Outcome, Picture } from '../load/job.js';
import { treeCpuMs } from '../load/processes.js';
import { TIMEOUT_MS } from '../load/setup.js';
import { fail } from '../support.js';

/** The members of GET /models/{name} that are read here; older versions of the service have them, too. */
const modelShape = z.object({
  name: z.string(),
  version: z.string(),
  device: z.string(),
  instances: z.array(
    z.object({
      id: z.string(),
      flops: z.number(),
      accuracy: z.number(),
      served: z.boolean(),
      latencyMs: z.record(z.string(), z.number()),
    }),
  ),
});

export type Model = z.infer<typeof modelShape>;

/** GET /models/<family>. Ends the process if there is no such family. */
export async function readModel(url: string, family: string): Promise<Model> {
  const answered = await fetch(`${url}/models/${family}`);
  if (!answered.ok) fail(await answered.text());
  return modelShape.parse(await answered.json());
}

/**
 * Id of the served instance with the fewest FLOPs; of two int8/float32 twins, the one that is faster in its largest
 * batch.
 */
export function cheapestOf({ instances }: Model): string {
  const ms = ({ latencyMs }: Model['instances'][number]) => latencyMs[Math.max(...Object.keys(latencyMs).map(Number))];
  const [cheapest] = instances
    .filter((i) => i.served)
    .toSorted((a, b) => a.flops - b.flops || (ms(a) ?? 0) - (ms(b) ?? 0));
  return cheapest?.id ?? fail('no instance is served');
}

export const accuraciesOf = ({ instances }: Model): Map<string, number> =>
  new Map(instances.map(({ id, accuracy }) => [id, accuracy]));

/** Headers with a budget of this latency; strict: as in the API, so refused if the latency cannot be met. */
export const latencyBudget = (latencyMs: number, strict: boolean): Record<string, string> => ({
  'Inference-Budget': `latency=${latencyMs}${strict ? '' : ', strict=?0'}`,
});

export interface Target {
  readonly url: string;
  readonly pid: number;
  readonly family: string;
  readonly pictures: readonly Picture[];
}

const NO_LOOP = { connections: 0, ms: 0 };

const jobOf = ({ url, family, pictures }: Target, query: Record<string, string> = {}): Omit<Job, 'out'> => ({
  url,
  path: `/classify?${new URLSearchParams({ model: family, top: '1', ...query })}`,
  headers: {},
  closedHeaders: {},
  pictures,
  closed: NO_LOOP,
  arrivalsMs: [],
  timeoutMs: TIMEOUT_MS,
});

/**
 * Measures the CPU time of the process `pid` and its children between two events of the generator. `on` is told of the
 * events.
 */
function cpuBetween(pid: number, from: GeneratorEvent, to: GeneratorEvent) {
  const seen = new Map<GeneratorEvent, { atMs: number; cpuMs: number }>();
  return {
    on: (event: GeneratorEvent) => seen.set(event, { atMs: performance.now(), cpuMs: treeCpuMs(pid) }),
    spent: () => {
      const [a, b] = [seen.get(from), seen.get(to)];
      const serviceMs = a && b ? b.cpuMs - a.cpuMs : Number.NaN;
      return { serviceMs, serviceMsPerS: a && b ? (1000 * serviceMs) / (b.atMs - a.atMs) : Number.NaN };
    },
  };
}

export interface Capacity {
  /** Answers a second in the closed loop. */
  readonly perS: number;
  readonly serviceMsPerS: number;
  readonly clientMsPerS: number;
}

/** Capacity with one instance pinned, in a closed loop of 2 x `seconds`, of which the first half is warm-up. */
export async function measureCapacity(
  target: Target,
  { instance, connections, seconds }: { instance: string; connections: number; seconds: number },
): Promise<Capacity> {
  const cpu = cpuBetween(target.pid, 'counting', 'started');
  const closed = { connections, ms: 2000 * seconds };
  const { closedPerS, closedCpuShare } = await generate({ ...jobOf(target, { instance }), closed }, cpu.on);
  return { perS: closedPerS, serviceMsPerS: cpu.spent().serviceMsPerS, clientMsPerS: 1000 * closedCpuShare };
}

export interface Offered {
  readonly outcome: Outcome;
  /** CPU ms of the service, until the last answer. */
  readonly serviceMs: number;
  readonly serviceMsPerS: number;
  readonly clientMsPerS: number;
}

/** Plays an open loop. on: called at the events of the generator. */
export async function offer(
  target: Target,
  arrivalsMs: readonly number[],
  headers: Record<string, string>,
  on: (event: GeneratorEvent) => void = () => {},
): Promise<Offered> {
  const cpu = cpuBetween(target.pid, 'started', 'ended');
  const outcome = await generate({ ...jobOf(target), arrivalsMs, headers }, (event) => {
    cpu.on(event);
    on(event);
  });
  return { outcome, ...cpu.spent(), clientMsPerS: 1000 * outcome.cpuShare };
}

export interface Alone {
  readonly status: number;
  readonly instance?: string | undefined;
  readonly totalMs?: number | undefined;
}

/** Sends a single strict request with this latency. */
export async function askAlone(target: Target, latencyMs: number): Promise<Alone> {
  const { url, path } = jobOf(target);
  const body = readFileSync((target.pictures[0] as Picture).file);
  const headers = latencyBudget(latencyMs, true);
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body });
  const { results } = (await answer.json()) as {
    results?: { model_instance: { id: string }; timing: { totalMs: number } }[];
  };
  const result = results?.[0];
  return { status: answer.status, instance: result?.model_instance.id, totalMs: result?.timing.totalMs };
}

/** Time between single requests, long enough that one does not affect the next. */
const APART_MS = 300;

/** Sends `times` single requests, APART_MS after each other. */
export async function askApart(target: Target, latencyMs: number, times: number): Promise<Alone[]> {
  const answers: Alone[] = [];
  for (let n = 0; n < times; n++) {
    await sleep(APART_MS);
    answers.push(await askAlone(target, latencyMs));
  }
  return answers;
}
