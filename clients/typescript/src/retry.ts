/** Sends a request again where the service asks for that. */

export interface RetryOptions {
  /** How often a request is sent in all; 3 if not given, 1: once. */
  readonly tries?: number | undefined;
  /**
   * The longest Retry-After to wait for, in ms; 10,000 if not given, ten times what the service asks for under load.
   * A longer one, such as the rest of a quota's minute, is for the caller to plan: the refusal is thrown at once.
   */
  readonly maxWaitMs?: number | undefined;
}

/** What the retries use, for tests to replace. */
export interface Means {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
}

/** Nothing is wrong with the request: too many came. Another failure may be its own fault, and would only come again. */
const REPEATABLE = new Set([429, 503]);
/** ms; without Retry-After, as a proxy may answer. Doubled with every try. */
const FIRST_WAIT_MS = 500;
/** setTimeout takes less than 2 ** 31 ms, and the random part can double a wait. */
const LONGEST_MS = 2 ** 30 - 1;

/** The function that openapi-fetch sends a request with. */
export function retrying({ tries = 3, maxWaitMs = 10_000 }: RetryOptions, { fetch, wait, random }: Means) {
  const longestMs = Math.min(maxWaitMs, LONGEST_MS);
  return async (request: Request): Promise<Response> => {
    for (let sent = 1; sent < tries; sent++) {
      // A body can be sent once; the clone leaves one for the next try.
      const response = await fetch(request.clone());
      const waitMs = retryAfterMs(response.headers, Date.now()) ?? FIRST_WAIT_MS * 2 ** (sent - 1);
      if (!REPEATABLE.has(response.status) || waitMs > longestMs) return response;
      await response.body?.cancel();
      // Never earlier than asked, and later at random: clients refused together must not come back together.
      await wait(waitMs * (1 + random()), request.signal);
    }
    return fetch(request);
  };
}

/** ms that Retry-After asks for: seconds or a date (RFC 9110, 10.2.3); undefined if it cannot be read. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const text = headers.get('Retry-After') ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Date.parse alone takes other texts for dates as well, such as 5.5.
  const dateMs = text.endsWith(' GMT') ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/** Resolves after a time; rejects with the reason of the signal as soon as that is aborted. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}
