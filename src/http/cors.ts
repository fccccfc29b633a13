/** CORS: pages of other origins may use the service only if CORS_ORIGINS names them. */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** How long browsers may cache a preflight's answer; Chromium allows two hours at most. */
const MAX_AGE_S = 3600;
const ALLOWED = [
  'Inference-Budget',
  'Inference-Header-Content-Length',
  'Content-Type',
  'Content-Encoding',
  'X-Api-Key',
  'Authorization',
  'X-Request-Id',
];
const EXPOSED = [
  'Server-Timing',
  'Inference-Cost',
  'Inference-Header-Content-Length',
  'X-Request-Id',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'WWW-Authenticate',
  'traceresponse',
];

/** Without origins, no CORS header is sent, so that browsers hide answers from pages of other origins. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: ALLOWED,
    exposedHeaders: EXPOSED,
    maxAge: MAX_AGE_S,
    // Accepts incomplete preflights, because the plugin would refuse them with an answer that is not problem+json.
    strictPreflight: false,
  });
}
