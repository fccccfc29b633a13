/** How many requests a client may make: per API key, and per address for those that bring none. */
import { createHash, timingSafeEqual } from 'node:crypto';
import rateLimit, { type FastifyRateLimitStoreCtor, normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import type { Clock } from '../scheduler/clock.js';

export const API_KEY_HEADER = 'x-api-key';
const WINDOW_MS = 60_000;
/** Addresses counted at once, each some 200 bytes. Too low: strangers share a quota under attack; too high: memory. */
const MAX_ADDRESSES = 50_000;
/** What addresses count for that come while the table is full. */
const OTHERS = 'address others';

const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Whom a request counts for. A key that is not known is as good as none, so inventing keys wins nothing. An IPv6 customer
 * has a whole /64, so that is one address here; IPv4 written as IPv6 is IPv4.
 */
export function clientOf(keys: readonly string[]): (request: Pick<FastifyRequest, 'headers' | 'ip'>) => string {
  const digests = keys.map(digest);
  return ({ headers, ip }) => {
    const given = digest(String(headers[API_KEY_HEADER] ?? ''));
    const place = digests.findIndex((d) => timingSafeEqual(d, given));
    return place < 0 ? `address ${normalizeIP(ip)}` : `key ${place}`;
  };
}

interface Window {
  count: number;
  endMs: number;
}

/** Requests of each client in its current window, by a clock that nobody sets. */
export class QuotaTable {
  readonly #clock: Clock;
  readonly #max: number;
  /** The one that ends first comes first, as all windows are of one length. */
  readonly #addresses = new Map<string, Window>();
  /** Keys of the configuration, and what strangers share: few, so they need no limit. */
  readonly #kept = new Map<string, Window>();

  constructor(clock: Clock, max = MAX_ADDRESSES) {
    this.#clock = clock;
    this.#max = max;
  }

  get size(): number {
    return this.#addresses.size;
  }

  /** Counts a request. Filling the table forgets nobody's count: those that find no place in it share one. */
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

/** The plugin makes its store by itself, and more than one; all count in one table. */
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

/** A hook that raises DimmerError quota-exceeded; undefined if there is no quota. */
export async function quotaHook(
  app: FastifyInstance,
  config: Config,
  clock: Clock,
): Promise<onRequestAsyncHookHandler | undefined> {
  const { QUOTA_PER_MINUTE: max, API_KEYS: keys } = config;
  if (max === undefined) return undefined;
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: WINDOW_MS,
    store: storeOf(new QuotaTable(clock)),
    enableDraftSpec: true,
    keyGenerator: clientOf(keys),
    errorResponseBuilder: (_request, { ttl }) =>
      new DimmerError('quota-exceeded', {
        detail: `more than ${max} requests in a minute`,
        expected: `at most ${max} a minute (QUOTA_PER_MINUTE) for each API key, or for each address without one`,
        action: 'try again after the time in Retry-After, or send several pictures in one request',
        retryAfterS: Math.max(1, Math.ceil(ttl / 1000)),
      }) as never,
  });
  return app.rateLimit() as onRequestAsyncHookHandler;
}
