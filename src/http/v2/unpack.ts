/** Unpacks compressed bodies while they arrive, so that their reader counts and limits the unpacked bytes. */
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { DimmerError } from '../../errors.js';

export type Coding = 'gzip' | 'deflate';

const CODINGS: Readonly<Record<string, Coding>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' };
/** Unpacked bytes of one event. Node's default of 16 KiB would make four times as many events for a large body. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Content-Encoding (RFC 9110, 8.4) -> how the body is compressed; undefined if it is not. Raises DimmerError
 * unsupported-media.
 */
export function codingOf(header: string | undefined): Coding | undefined {
  const name = (header ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return undefined;
  if (Object.hasOwn(CODINGS, name)) return CODINGS[name];
  throw new DimmerError('unsupported-media', {
    detail: `the body has Content-Encoding: ${name.slice(0, 100)}`,
    expected: 'gzip, deflate (in zlib format), or none',
    action: 'compress it in one of these ways, or not at all',
  });
}

/**
 * The unpacked body. The stream fails with DimmerError invalid-request if the body does not have the format of its
 * coding. It can be destroyed at any time.
 */
export function unpacked(request: IncomingMessage, coding: Coding | undefined): Readable {
  if (coding === undefined) return request;
  const unpack = (coding === 'gzip' ? createGunzip : createInflate)({ chunkSize: CHUNK_BYTES });
  const out = new PassThrough();
  // Not pipeline(), which would destroy the request, and with it the answer, when one of the streams fails.
  request.pipe(unpack).pipe(out);
  request.once('error', (error) => out.destroy(error));
  request.once('close', () => {
    if (!request.complete) out.destroy();
  });
  unpack.once('error', () => out.destroy(notPacked(coding)));
  // zlib reads nothing behind its format. Unread, it would block the connection.
  unpack.once('end', () => request.unpipe(unpack).resume());
  out.once('close', () => {
    request.unpipe(unpack);
    unpack.destroy();
  });
  if (request.destroyed) out.destroy(); // the client has disconnected already, so no event would come
  return out;
}

function notPacked(coding: Coding): DimmerError {
  return new DimmerError('invalid-request', {
    detail: `the body is not whole in the format of Content-Encoding: ${coding}`,
    expected: coding === 'gzip' ? 'a gzip file (RFC 1952)' : 'zlib format (RFC 1950), as RFC 9110 has deflate',
    action: 'correct how the body is compressed, or send it without Content-Encoding',
  });
}
