/** What browsers may do with the pages of this service. Answers that are no page carry only nosniff (problem.ts). */
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/** Everything that a page needs is here, and nothing else reaches it. */
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
    // Whether a name is served by TLS alone is known to who ends TLS, not to this service.
    strictTransportSecurity: false,
  };
}

/** The pages of swagger-ui: everything that this instance registers from now on. */
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

/** The same for the page at /, which needs less. */
export async function securePlayground(app: FastifyInstance): Promise<void> {
  await app.register(
    helmet,
    options({
      styleSrc: ["'self'"],
      // blob: the picture that is shown before it is sent.
      imgSrc: ["'self'", 'blob:'],
      // No text becomes HTML or script, whatever a file is called or a family says of itself.
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    }),
  );
}
