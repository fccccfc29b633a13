/** GET / and the files of the page. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type PageFile, pageFiles } from '../page.js';

/** Adds a route for each file. */
export function pageRoutes(app: FastifyInstance): void {
  for (const [path, file] of pageFiles()) app.get(path, (request, reply) => send(file, request, reply));
}

function send({ type, plain, gzip }: PageFile, { headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const zipped = gzip && acceptsGzip(headers['accept-encoding']) ? gzip : undefined;
  const { bytes, etag } = zipped ?? plain;
  // File names have no hash of the content, so a browser must ask each time; it mostly gets 304.
  reply.headers({ 'Cache-Control': 'no-cache', ETag: etag });
  if (gzip) reply.header('Vary', [reply.getHeader('Vary'), 'Accept-Encoding'].filter(Boolean).join(', '));
  if (matches(headers['if-none-match'], etag)) return reply.code(304).send();
  if (zipped) reply.header('Content-Encoding', 'gzip');
  return reply.type(type).send(bytes);
}

/** Whether Accept-Encoding has gzip with a weight above 0 (RFC 9110, 12.5.3). */
function acceptsGzip(header: string | string[] | undefined): boolean {
  return String(header ?? '')
    .toLowerCase()
    .split(',')
    .some((part) => /^\s*(x-)?gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/.test(part));
}

/** Whether If-None-Match names this ETag, by weak comparison (RFC 9110, 13.1.2). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((one) => one.trim() === '*' || one.trim().replace(/^W\//, '') === etag);
}
