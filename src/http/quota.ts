/** Quotas: requests a minute for each API key, and for each address of clients without a key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import rateLimit, { type FastifyRateLimitStoreCtor, normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import type { Clock } from '../scheduler/clock.js';

export const API_KEY_HEADER = 'x-api-key';
const WINDOW_MS = 60_000;
/**
 * Upper bound of addresses counted at once, at some 200 bytes each. Too low: in an attack from many addresses, others
 * share one quota. Too high: memory.
 */
const MAX_ADDRESSES = 50_000;
/** The one entry that counts for all further addresses while the table is full. */
const OTHERS = 'address others';

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Makes the function that names the client a request counts for: a known API key, else the address. An unknown key
 * counts as none, so that inventing keys gains nothing. An IPv6 customer has a whole /64 network, which counts as one
 * address; an IPv4 address written as IPv6 counts as IPv4.
 */
export function clientOf(keys: readonly string[]): (request: Pick<FastifyRequest, 'headers' | 'ip'>) => string {
  const digests = keys.map(digest);
  return ({ headers, ip }) => {
    const given = digest(String(headers[API_KEY_HEADER] ?? ''));
    const place = digests.findIndex((d) => timingSafeEqual(d, given));
    return place < 0 ? `address ${normalizeIP(ip)}` : `key ${place}`;
  };
}

/** Requests counted until endMs of the clock. */
interface Window {
  count: number;
  endMs: number;
}

/** Counts the requests of each client in its current window of a minute, by a monotonic clock. */
export class QuotaTable {
  readonly #clock: Clock;
  readonly #max: number;
  /** In the order in which windows end, because all have the same length. */
  readonly #addresses = new Map<string, Window>();
  /** Windows of the configured keys and of OTHERS: few, so they need no limit. */
  readonly #kept = new Map<string, Window>();

  constructor(clock: Clock, max = MAX_ADDRESSES) {
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    return this.#addresses.size;
  }

  /**
   * Counts a request; returns the client's requests in its window (current) and the ms until that ends (ttl). When the
   * table is full, no count is dropped: new addresses share one entry.
   */
  count(client: string): { current: number; ttl: number } {
    const nowMs = this.#clock.now();
    for (const [name, { endMs }] of this.#addresses) {
      if (endMs > nowMs) break;
      this.#addresses.delete(name);
    }
    const window = this.#windowOf(client, nowMs);
    window.count += 1;
    return { current: window.count, ttl: window.endMs - nowMs };
  }

  #windowOf(client: string, nowMs: number): Window {
    const known = this.#addresses.get(client);
    if (known) return known;
    const isAddress = client.startsWith('address ');
    const fresh = { count: 0, endMs: nowMs + WINDOW_MS };
    if (isAddress && this.#addresses.size < this.#max) {
      this.#addresses.set(client, fresh);
      return fresh;
    }
    const name = isAddress ? OTHERS : client;
    const kept = this.#kept.get(name);
    if (kept && kept.endMs > nowMs) return kept;
    this.#kept.set(name, fresh);
    return fresh;
  }
}

/** A store class for the rate-limit plugin, which makes several instances of it; all count in one table. */
function storeOf(table: QuotaTable): FastifyRateLimitStoreCtor {
  return class Store {
    incr(client: string, done: (error: Error | null, result: { current: number; ttl: number }) => void) {
      done(null, table.count(client));
    }
    child() {
      return this;
    }
  } as unknown as FastifyRateLimitStoreCtor;
}

type QuotaConfig = Pick<Config, 'QUOTA_PER_MINUTE' | 'API_KEYS'>;

/** Counts a request that does not come by HTTP. Raises DimmerError quota-exceeded. */
export function assertQuota(
  table: QuotaTable,
  config: QuotaConfig,
  client: Pick<FastifyRequest, 'headers' | 'ip'>,
): void {
  const { QUOTA_PER_MINUTE: max, API_KEYS: keys } = config;
  if (max === undefined) return;
  const { current, ttl } = table.count(clientOf(keys)(client));
  if (current > max) throw quotaExceeded(max, ttl);
}

function quotaExceeded(max: number, ttl: number): DimmerError {
  return new DimmerError('quota-exceeded', {
    detail: `more than ${max} requests in a minute`,
    expected: `at most ${max} a minute (QUOTA_PER_MINUTE) for each API key, or for each address without one`,
    action: 'try again after the time in Retry-After, or send several pictures in one request',
    retryAfterS: Math.max(1, Math.ceil(ttl / 1000)),
  });
}

/** Makes the hook that raises DimmerError quota-exceeded; undefined if QUOTA_PER_MINUTE is not set. */
export async function quotaHook(
  app: FastifyInstance,
  config: QuotaConfig,
  table: QuotaTable,
): Promise<onRequestAsyncHookHandler | undefined> {
  const { QUOTA_PER_MINUTE: max, API_KEYS: keys } = config;
  if (max === undefined) return undefined;
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: WINDOW_MS,
    store: storeOf(table),
    enableDraftSpec: true,
    keyGenerator: clientOf(keys),
    errorResponseBuilder: (_request, { ttl }) => quotaExceeded(max, ttl) as never,
  });
  return app.rateLimit() as onRequestAsyncHookHandler;
}
