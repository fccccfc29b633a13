/** What browsers may do with the pages of this service. Answers that are no page carry only nosniff (problem.ts). */
import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/** For everything that this instance registers from now on. */
export async function securePages(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
        scriptSrc: ["'self'"],
        // swagger-ui's script puts a style element into its page.
        styleSrc: ["'self'", "'unsafe-inline'"],
        // data: icons in swagger-ui's style sheet; blob: pictures that a page shows before it sends them.
        imgSrc: ["'self'", 'data:', 'blob:'],
        fontSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
      },
    },
    xFrameOptions: { action: 'deny' },
    // Whether a name is served by TLS alone is known to who ends TLS, not to this service.
    strictTransportSecurity: false,
  });
}
