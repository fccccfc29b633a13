/** A running service, as the commands ask it. Every refusal is a Failure in the service's own words. */
import { request } from 'undici';
import { z } from 'zod';
import { API_KEY_HEADER } from '../access/keys.js';
import { classification, type model, models } from '../http/schemas.js';
import { Failure, type Problem, UsageError } from './failure.js';
import type { Terminal } from './terminal.js';

export type Model = z.infer<typeof model>;
export type Classification = z.infer<typeof classification>;

/** Where the key is, unless the option --key says it: arguments are seen by whoever may list processes. */
export const KEY_VARIABLE = 'DIMMER_API_KEY';
/** A client that waits longer has long given up; `--timeout` says otherwise. */
export const TIMEOUT_MS = 30_000;
/** Of text that is no problem, as much as helps to see what it is: often a page of a proxy. */
const SHOWN = 200;

export interface Access {
  readonly base: URL;
  readonly key: string | undefined;
  readonly timeoutMs: number;
}

/** What a request may ask besides its pictures. */
export interface Wish {
  readonly model?: string | undefined;
  readonly instance?: string | undefined;
  readonly top?: string | undefined;
  /** Text of Inference-Budget. */
  readonly budget?: string | undefined;
}

/** `localhost:8080`, `https://example.com/dimmer/`. Raises UsageError for what is no address of a service. */
export function serviceUrl(text: string): URL {
  const whole = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new UsageError('expected the address of a service, such as http://localhost:8080');
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(
      `expected no name and no password in the address; a key is taken from ${KEY_VARIABLE} or --key`,
    );
  }
  if (url.search !== '' || url.hash !== '') throw new UsageError('expected an address without ? and #');
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/**
 * given: the value of --key. Raises UsageError, which does not show it, for a key that no header can carry. An empty
 * variable counts as none.
 */
export function keyOf({ environment }: Pick<Terminal, 'environment'>, given?: string): string | undefined {
  const key = given ?? (environment[KEY_VARIABLE] || undefined);
  if (key === undefined || /^[\x21-\x7e]+$/.test(key)) return key;
  const source = given === undefined ? KEY_VARIABLE : '--key';
  throw new UsageError(`${source} has characters that no header may have; expected visible ASCII, no spaces`);
}

export const headersOf = (key: string | undefined, budget?: string): Record<string, string> => ({
  ...(key !== undefined && { [API_KEY_HEADER]: key }),
  ...(budget !== undefined && { 'Inference-Budget': budget }),
});

/** Path and query on the service's host. */
export function pathOf(base: URL, path: string, query: Omit<Wish, 'budget'> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string][];
  const text = new URLSearchParams(given).toString();
  return `${base.pathname === '/' ? '' : base.pathname}${path}${text && `?${text}`}`;
}

export async function listModels(access: Access): Promise<Model[]> {
  return (await ask(access, 'GET', '/models', models)).models;
}

/** picture: the bytes of the file. */
export function classify(access: Access, picture: Buffer, { budget, ...query }: Wish): Promise<Classification> {
  return ask(access, 'POST', '/classify', classification, { query, budget, body: picture });
}

interface Sent {
  readonly query?: Omit<Wish, 'budget'>;
  readonly budget?: string | undefined;
  readonly body?: Buffer;
}

async function ask<T>(
  { base, key, timeoutMs }: Access,
  method: 'GET' | 'POST',
  path: string,
  shape: z.ZodType<T>,
  { query, budget, body }: Sent = {},
): Promise<T> {
  const url = new URL(pathOf(base, path, query), base.origin);
  const { status, text, retryAfter } = await exchange(url, {
    method,
    headers: headersOf(key, budget),
    body: body ?? null,
    timeoutMs,
  });
  if (status !== 200) throw new Failure(refusal(url, status, text, retryAfter));
  const parsed = shape.safeParse(parse(text));
  // A newer service may say more than is known here.
  if (parsed.success || parsed.error.issues.every(({ code }) => code === 'unrecognized_keys')) return parse(text) as T;
  throw new Failure({
    title: 'The answer cannot be read',
    detail: `${url.href} answered in another way than this version of dimmer knows: ${z.prettifyError(parsed.error)}`,
    expected: 'a dimmer service of the same version',
    action: 'check the address, and the versions on both sides',
  });
}

interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly headers: Record<string, string>;
  readonly body: Buffer | null;
  readonly timeoutMs: number;
}

/** Follows no redirect: a key is for the host that was named. */
async function exchange(url: URL, { timeoutMs, ...options }: Exchange) {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const { statusCode, headers, body } = await request(url, { ...options, signal });
    const retryAfter = Number(headers['retry-after'] ?? Number.NaN);
    return { status: statusCode, text: await body.text(), retryAfter };
  } catch (error) {
    throw unreachable(url, error, timeoutMs);
  }
}

export const unreachable = (url: URL, error: unknown, timeoutMs: number): Failure =>
  new Failure({
    title: 'The service cannot be reached',
    detail: `${url.origin}: ${reasonOf(error, timeoutMs)}`,
    expected: 'a running dimmer service at this address',
    action: 'correct the address, or start a service: dimmer serve',
  });

/** Node tries every address of a name, and packs what went wrong with each into one error. */
function reasonOf(error: unknown, timeoutMs: number): string {
  const { name, code, message, errors } = error as NodeJS.ErrnoException & { errors?: Error[] };
  if (name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  return errors?.map((e) => e.message).join('; ') || message || code || 'unknown error';
}

const problemShape = z.looseObject({
  type: z.string().optional(),
  title: z.string(),
  detail: z.string().optional(),
  expected: z.string().optional(),
  action: z.string().optional(),
});

function refusal(url: URL, status: number, text: string, retryAfter: number): Problem {
  const parsed = problemShape.safeParse(parse(text));
  const retry = Number.isFinite(retryAfter) ? { retryAfterS: retryAfter } : {};
  if (parsed.success) return { ...parsed.data, status, ...retry };
  return {
    title: 'The answer is not one of a dimmer service',
    status,
    detail: `${url.href} answered ${status}: ${text.slice(0, SHOWN) || 'nothing'}`,
    expected: 'application/problem+json, as every error of a dimmer service',
    action: 'check the address, and proxies on the way',
    ...retry,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
