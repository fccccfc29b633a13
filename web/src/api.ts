/** What the page asks of the service. Shapes are the service's own. */
import type { z } from 'zod';
import type { classification, liveHello, liveSample, model, problem } from '../../src/http/schemas.ts';

export type Model = z.infer<typeof model>;
export type Instance = Model['instances'][number];
export type Answer = z.infer<typeof classification>;
export type Result = Answer['results'][number];
export type Hello = z.infer<typeof liveHello>;
export type Sample = z.infer<typeof liveSample>;
export type Problem = Pick<z.infer<typeof problem>, 'title' | 'detail' | 'expected' | 'action'> & {
  status?: number;
  nearest?: Record<string, number> | undefined;
  progress?: unknown;
};

/** The service has answered with a problem, or not at all. */
export class Refusal extends Error {
  readonly problem: Problem;
  readonly retryAfterS: number | undefined;

  constructor(problem: Problem, retryAfterS?: number) {
    super(problem.detail);
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** The API key, in memory and nowhere else: it is gone when the page is. */
let apiKey = '';
const needing = new Set<() => void>();

export function setApiKey(key: string): void {
  apiKey = key;
}

/** Called when an answer says that a key is needed. Returns what ends it. */
export function onKeyNeeded(callback: () => void): () => void {
  needing.add(callback);
  return () => needing.delete(callback);
}

const UNREACHABLE: Problem = {
  title: 'The service does not answer',
  detail: 'the request did not get through',
  expected: 'a service that runs, and a network that leads to it',
  action: 'see whether it still runs, then try again',
};

/** Raises Refusal for whatever is no success; or the signal's reason. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey) headers.set('X-Api-Key', apiKey);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(UNREACHABLE);
  }
  if (response.ok) return response;
  if (response.status === 401) for (const callback of needing) callback();
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  throw new Refusal(await problemOf(response), Number.isFinite(retryAfter) ? retryAfter : undefined);
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const found = (await response.json()) as Partial<Problem>;
    if (found.title && found.detail) return { expected: '', action: '', ...found } as Problem;
  } catch {
    // A proxy in between has answered: its status is all there is.
  }
  return {
    title: `Answer ${response.status}`,
    status: response.status,
    detail: 'what is between this page and the service has answered in its place',
    expected: 'an answer of the service',
    action: 'ask who runs it',
  };
}

export async function fetchModels(signal: AbortSignal): Promise<Model[]> {
  const response = await ask('/models', { signal });
  return ((await response.json()) as { models: Model[] }).models;
}

export interface Question {
  readonly model: string;
  /** Text of Inference-Budget. */
  readonly budget: string;
  /** Pins one. */
  readonly instance?: string | undefined;
}

export const pathOf = ({ model, instance }: Question, top?: number): string => {
  const query = new URLSearchParams({ model, ...(instance && { instance }), ...(top && { top: String(top) }) });
  return `/classify?${query}`;
};

export async function classify(
  question: Question,
  body: Blob | FormData,
  signal: AbortSignal,
  top?: number,
): Promise<Answer> {
  const headers = { 'Inference-Budget': question.budget };
  const response = await ask(pathOf(question, top), { method: 'POST', body, headers, signal });
  return (await response.json()) as Answer;
}

export interface ServerEvent {
  readonly name: string;
  readonly data: unknown;
}

/** Server-sent events, read by fetch: EventSource can send no API key. */
export async function* events(path: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  const response = await ask(path, { signal });
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part)?.[1] ?? 'message';
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (data !== undefined) yield { name, data: JSON.parse(data) };
    }
  }
}
