/** Limits messages while they arrive: the library reads each as a whole before anybody can look at it. */
import type { ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { DimmerError } from '../errors.js';

/** Before each message: one byte that says whether it is compressed, and four with its length. */
export const PREFIX_BYTES = 5;

/** What the library keeps to itself of a call: the HTTP/2 stream, and the compression that its metadata names. */
export interface Wire {
  readonly stream: ServerHttp2Stream;
  readonly incomingEncoding: string;
}

export const wireOf = (call: ServerInterceptingCallInterface) => call as unknown as Wire;

/**
 * Calls `fail`, also more than once, if the messages of a call are compressed or too large. mostBytes: of all messages
 * with their prefixes.
 */
export function limitMessages({ stream, incomingEncoding }: Wire, mostBytes: number, fail: (e: DimmerError) => void) {
  if (incomingEncoding !== 'identity') return fail(compressed());
  let bytes = 0;
  // Before the listener of the library, so that it reads nothing of a message that is refused.
  stream.prependListener('data', (chunk: Buffer) => {
    if (bytes === 0 && (chunk[0] as number) & 1) fail(compressed());
    const announced = bytes === 0 && chunk.length >= PREFIX_BYTES ? PREFIX_BYTES + chunk.readUInt32BE(1) : 0;
    bytes += chunk.length;
    if (Math.max(bytes, announced) > mostBytes) fail(tooLarge(Math.max(bytes, announced), mostBytes));
  });
}

/**
 * Compressed messages are refused: pictures are compressed already, and the library unpacks each as a whole before it
 * can be counted.
 */
const compressed = () =>
  new DimmerError('not-implemented', {
    detail: 'the message is compressed',
    expected: 'grpc-encoding: identity, the default',
    action: 'switch the compression of the client off',
  });

const tooLarge = (bytes: number, most: number) =>
  new DimmerError('image-too-large', {
    detail: `the message has ${bytes - PREFIX_BYTES} bytes or more`,
    expected: `at most ${most - PREFIX_BYTES} bytes (MAX_REQUEST_BYTES, MAX_WAITING_BYTES)`,
    action: 'make the pictures smaller, or send them in several calls',
  });
