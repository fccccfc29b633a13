/** Pages of other origins may use the service only if CORS_ORIGINS names them. */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** How long browsers keep a preflight's answer; Chromium keeps none for longer than two hours. */
const MAX_AGE_S = 3600;
const ALLOWED = ['Inference-Budget', 'Content-Type', 'X-Api-Key', 'X-Request-Id'];
const EXPOSED = [
  'Server-Timing',
  'Inference-Cost',
  'X-Request-Id',
  'Retry-After',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
];

/** Closed by default: without a list no header is sent, and browsers keep what they get from the page. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: ALLOWED,
    exposedHeaders: EXPOSED,
    maxAge: MAX_AGE_S,
    // A preflight needs no more than its method; the plugin's own refusal is no problem+json.
    strictPreflight: false,
  });
}
