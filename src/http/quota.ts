/**
 * Quotas over HTTP: whom a request counts for, and the headers RateLimit-Policy and RateLimit, in the form of
 * draft-ietf-httpapi-ratelimit-headers-10.
 */
import { isIP } from 'node:net';
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { type BareItem, serializeList } from 'structured-headers';
import type { Access } from '../access/access.js';
import { type Client, type Left, type Limits, toClient, type Unit, WINDOW_MS } from '../access/quota.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom pictures of the request count for; set by the hook that `quotaHook` makes. */
    client: Client | undefined;
  }
}

/** Whom a request counts for. */
export function clientOf({ keyName, ip, raw }: Pick<FastifyRequest, 'keyName' | 'ip' | 'raw'>): Client {
  // From a proxy that is trusted, `ip` is whatever it wrote into X-Forwarded-For. Texts that clients make up would each
  // have a quota of their own.
  return toClient(keyName, isIP(ip) ? ip : (raw.socket.remoteAddress ?? ''));
}

/**
 * Makes the hook of routes that run pictures: it counts the request, sends the headers, and raises DimmerError
 * quota-exceeded. undefined if there are neither keys nor quotas.
 */
export function quotaHook(access: Access): onRequestAsyncHookHandler | undefined {
  const { limits, any } = access.quotas;
  if (!any && !access.hasKeys) return undefined;
  const policy = any ? policyField(limits) : undefined;
  return async (request, reply) => {
    request.client = clientOf(request);
    access.begin(request.client, (left) => {
      if (policy !== undefined) reply.headers({ 'RateLimit-Policy': policy, RateLimit: limitField(left) });
    });
  };
}

/** The unit of FLOPs is named, since without `qu` a quota is of requests. */
function policyField(limits: Limits): string {
  const policies = (Object.entries(limits) as [Unit, number][]).map(([unit, limit]) =>
    item(unit, { q: limit, ...(unit !== 'requests' && { qu: unit }), w: WINDOW_MS / 1000 }),
  );
  return serializeList(policies);
}

function limitField(left: readonly Left[]): string {
  return serializeList(
    left.map(({ unit, remaining, moreInS }) =>
      item(unit, { r: remaining, ...(moreInS !== undefined && { t: moreInS }) }),
    ),
  );
}

const item = (name: string, parameters: Record<string, BareItem>): [string, Map<string, BareItem>] => [
  name,
  new Map(Object.entries(parameters)),
];
