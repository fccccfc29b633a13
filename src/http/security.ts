/**
 * Security headers of the pages of this service. Other answers carry only X-Content-Type-Options (answer-problem.ts).
 */
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/**
 * Content security policy of all pages: scripts and connections only from this service; anything not listed is
 * forbidden.
 */
const NOTHING_ELSE = {
  defaultSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
  scriptSrc: ["'self'"],
  connectSrc: ["'self'"],
};

function options(directives: Record<string, string[]>): FastifyHelmetOptions {
  return {
    contentSecurityPolicy: { useDefaults: false, directives: { ...NOTHING_ELSE, ...directives } },
    xFrameOptions: { action: 'deny' },
    // Only the proxy that terminates TLS knows whether this host name is always served by TLS.
    strictTransportSecurity: false,
  };
}

/** Sets the headers for swagger-ui, on all routes that this instance registers afterwards. */
export async function securePages(app: FastifyInstance): Promise<void> {
  await app.register(
    helmet,
    options({
      // swagger-ui's script puts a style element into its page.
      styleSrc: ["'self'", "'unsafe-inline'"],
      // data: icons in swagger-ui's style sheet.
      imgSrc: ["'self'", 'data:'],
      fontSrc: ["'self'", 'data:'],
    }),
  );
}

/** Sets the headers for the page at /, on all routes that this instance registers afterwards. */
export async function securePlayground(app: FastifyInstance): Promise<void> {
  await app.register(
    helmet,
    options({
      styleSrc: ["'self'"],
      // blob: the picture that the page shows before it sends it.
      imgSrc: ["'self'", 'blob:'],
      // Forbids turning text into HTML or script, so that names of files or families cannot inject any.
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    }),
  );
}
