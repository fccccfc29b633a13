/** The client: one object for a service. */
import createClient, { type Client } from 'openapi-fetch';
import { type Budget, budgetHeader } from './budget.js';
import { type Picture, toBlob } from './picture.js';
import { ProblemError } from './problem.js';
import { delay, type RetryOptions, retrying } from './retry.js';
import type { components, operations, paths } from './schema.js';

export type Classification = components['schemas']['Classification'];
export type Model = components['schemas']['Model'];

export interface DimmerOptions {
  /** Sent as X-Api-Key. */
  readonly apiKey?: string | undefined;
  readonly retry?: RetryOptions | undefined;
  /** Sends one request; the global fetch if not given. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
}

export interface CallOptions {
  /** Ends the call: reading a stream, sending, and waiting to try again. */
  readonly signal?: AbortSignal | undefined;
}

type Query = NonNullable<operations['classify']['parameters']['query']>;

/** With `model`, `top` and `instance` as in the query. */
export interface ClassifyOptions extends Readonly<{ [Name in keyof Query]: Query[Name] | undefined }>, CallOptions {
  /** Without it the service's DEFAULT_BUDGET holds; `{}` sets no limit. */
  readonly budget?: Budget | undefined;
}

export class Dimmer {
  /** Every path of openapi.yaml, typed. It sends again as well, but returns `{ data, error }` instead of throwing. */
  readonly api: Client<paths>;

  /** url: where the service is, such as http://localhost:8080. */
  constructor(url: string | URL, { apiKey, retry = {}, fetch }: DimmerOptions = {}) {
    const send = fetch ?? ((request: Request) => globalThis.fetch(request));
    this.api = createClient<paths>({
      baseUrl: String(url),
      fetch: retrying(retry, { fetch: send, wait: delay, random: Math.random }),
      headers: { 'X-Api-Key': apiKey },
      // The key and the pictures are for the host that was named.
      redirect: 'error',
    });
  }

  /**
   * Labels for a picture, or for several in one request. Raises ProblemError for a refusal, TypeError or RangeError for a
   * budget or a path that cannot be sent, and what fetch raises.
   */
  async classify(
    pictures: Picture | readonly Picture[],
    { budget, signal, ...query }: ClassifyOptions = {},
  ): Promise<Classification> {
    const header = budget === undefined ? {} : { 'Inference-Budget': budgetHeader(budget) };
    const given: readonly Picture[] = Array.isArray(pictures) ? pictures : [pictures];
    const image = await Promise.all(given.map((picture) => toBlob(picture, signal)));
    const [one, ...others] = image;
    const single = one !== undefined && others.length === 0;
    return dataOf(
      await this.api.POST('/classify', {
        params: { query: query as Query, header },
        ...(single
          ? { body: one, bodySerializer: () => one, headers: { 'Content-Type': 'application/octet-stream' } }
          : { body: { image }, bodySerializer: () => formOf(image) }),
        ...withSignal(signal),
      }),
    );
  }

  /** The families that are served. */
  async models({ signal }: CallOptions = {}): Promise<Model[]> {
    return dataOf(await this.api.GET('/models', withSignal(signal))).models;
  }

  async model(name: string, { signal }: CallOptions = {}): Promise<Model> {
    return dataOf(await this.api.GET('/models/{name}', { params: { path: { name } }, ...withSignal(signal) }));
  }
}

const withSignal = (signal: AbortSignal | undefined) => (signal ? { signal } : {});

function formOf(image: readonly Blob[]): FormData {
  const form = new FormData();
  for (const blob of image) form.append('image', blob);
  return form;
}

function dataOf<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): T {
  if (response.ok && data !== undefined) return data;
  throw new ProblemError(response, error);
}
