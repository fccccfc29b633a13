/** The page's requests to the service. Types come from the service's schemas. */
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

/** The service answered with a problem, or did not answer. */
export class Refusal extends Error {
  readonly problem: Problem;
  readonly retryAfterS: number | undefined;

  constructor(problem: Problem, retryAfterS?: number) {
    super(problem.detail);
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** The API key. It is kept in memory only, so that it is forgotten when the page is closed. */
let apiKey = '';
const needing = new Set<() => void>();

export function setApiKey(key: string): void {
  apiKey = key;
}

/** Whether requests are sent with a key. */
export const hasApiKey = (): boolean => apiKey !== '';

/** Calls back whenever the service answers 401. Returns a function that ends the subscription. */
export function onKeyNeeded(callback: () => void): () => void {
  needing.add(callback);
  return () => needing.delete(callback);
}

const UNREACHABLE: Problem = {
  title: 'The service does not answer',
  detail: 'the request did not get through',
  expected: 'a service that runs, and a network that leads to it',
  action: 'check whether the service still runs, then try again',
};

/** fetch with the API key. Raises Refusal for any answer but success, or the signal's reason on abort. */
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
    // The answer is no problem+json, so it comes from a proxy; only its status is known.
  }
  return {
    title: `Answer ${response.status}`,
    status: response.status,
    detail: 'a proxy between this page and the service answered instead of the service',
    expected: 'an answer of the service',
    action: 'ask the operator of the proxy',
  };
}

export async function fetchModels(signal: AbortSignal): Promise<Model[]> {
  const response = await ask('/models', { signal });
  return ((await response.json()) as { models: Model[] }).models;
}

export interface Question {
  readonly model: string;
  /** Text of the header Inference-Budget. */
  readonly budget: string;
  /** Id of the instance to pin. */
  readonly instance?: string | undefined;
}

/** Path and query of POST /classify. top: how many labels to answer with. */
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

/** Reads server-sent events by fetch, because EventSource cannot send an API key. */
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
