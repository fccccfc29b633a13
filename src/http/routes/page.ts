import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type PageFile, pageFiles } from '../page.js';

/** Each file under its own path; whatever else is asked for is not found, as anywhere. */
export function pageRoutes(app: FastifyInstance): void {
  for (const [path, file] of pageFiles()) app.get(path, (request, reply) => send(file, request, reply));
}

function send({ type, plain, gzip }: PageFile, { headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const zipped = gzip && acceptsGzip(headers['accept-encoding']) ? gzip : undefined;
  const { bytes, etag } = zipped ?? plain;
  // Names do not change with what is in them, so a browser asks each time, and mostly hears that nothing has changed.
  reply.headers({ 'Cache-Control': 'no-cache', ETag: etag });
  if (gzip) reply.header('Vary', [reply.getHeader('Vary'), 'Accept-Encoding'].filter(Boolean).join(', '));
  if (matches(headers['if-none-match'], etag)) return reply.code(304).send();
  if (zipped) reply.header('Content-Encoding', 'gzip');
  return reply.type(type).send(bytes);
}

/** gzip with a weight above 0 (RFC 9110, 12.5.3). */
function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .toLowerCase()
    .split(',')
    .some((part) => /^\s*(x-)?gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/.test(part));
}

/** Weak comparison, as for any GET (RFC 9110, 13.1.2). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag);
}
