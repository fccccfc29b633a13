/** How many requests a client may make: per API key, and per address for those that bring none. */
import { createHash, timingSafeEqual } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';

export const API_KEY_HEADER = 'x-api-key';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Whom a request counts for. A key that is not known is as good as none, so inventing keys wins nothing. */
export function clientOf(keys: readonly string[]): (request: Pick<FastifyRequest, 'headers' | 'ip'>) => string {
  const digests = keys.map(digest);
  return ({ headers, ip }) => {
    const given = digest(String(headers[API_KEY_HEADER] ?? ''));
    const place = digests.findIndex((d) => timingSafeEqual(d, given));
    return place < 0 ? `address ${ip}` : `key ${place}`;
  };
}

/** A hook that raises DimmerError quota-exceeded; undefined if there is no quota. */
export async function quotaHook(app: FastifyInstance, config: Config): Promise<onRequestAsyncHookHandler | undefined> {
  const { QUOTA_PER_MINUTE: max, API_KEYS: keys } = config;
  if (max === undefined) return undefined;
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: '1 minute',
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
