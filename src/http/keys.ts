/** Checks the API key of a request, on every route but the few that are open. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '../access/access.js';
import { presentedKeys, type ReadHeader } from '../access/keys.js';
import { PAGE_FILES } from './page.js';

/**
 * Routes that need no key where keys are required: what an orchestrator asks, and the page, which has a form for the
 * key. Every other route needs one, those that will be added as well.
 */
const OPEN: ReadonlySet<string> = new Set(['/healthz', '/readyz', ...Object.keys(PAGE_FILES)]);
const OPEN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the API key that the request brings; undefined without a known one. */
    keyName: string | undefined;
  }
}

/** Sets `keyName`. Raises DimmerError unauthorized if keys are required, this route is not open and no key is known. */
export function checkKey(access: Access, request: FastifyRequest, reply: FastifyReply): void {
  if (isOpen(request)) return;
  const header: ReadHeader = (name) => request.headers[name]?.toString();
  try {
    request.keyName = access.admit(header);
  } catch (error) {
    // RFC 9110, 11.6.1, asks for this header; RFC 6750, 3, for no error code where no key was given.
    const wrong = presentedKeys(header).length > 0 ? ', error="invalid_token"' : '';
    reply.header('WWW-Authenticate', `Bearer realm="dimmer"${wrong}`);
    throw error;
  }
}

/** By the route and not by the URL, which can be written in many ways. */
const isOpen = ({ method, routeOptions }: FastifyRequest): boolean =>
  OPEN_METHODS.has(method) && OPEN.has(routeOptions.url ?? '');
