/** The errors for bodies that are too large, arrive too slowly or find no memory. */
import { DimmerError } from '../errors.js';

export function bodyTooLarge(most: number): DimmerError {
  return new DimmerError('image-too-large', {
    detail: `the body has more than ${most} bytes`,
    expected: `at most ${most} bytes (MAX_IMAGE_BYTES for a picture, MAX_REQUEST_BYTES for several, MAX_JSON_BYTES for JSON)`,
    action: 'make the pictures smaller, or send them in several requests',
  });
}

export function tooLate(ms: number): DimmerError {
  return new DimmerError('request-timeout', {
    detail: 'the request did not arrive in time',
    expected: `the whole request within ${ms} ms (REQUEST_TIMEOUT_MS)`,
    action: 'send it again over a faster connection, or a smaller picture',
  });
}

export function tooSlow(bytesPerS: number, least: number, overMs: number): DimmerError {
  return new DimmerError('request-timeout', {
    detail: `the request arrived at ${Math.round(bytesPerS)} bytes a second`,
    expected: `at least ${least} bytes a second (MIN_UPLOAD_BYTES_PER_S), over ${overMs / 1000} s`,
    action: 'send it again over a faster connection',
  });
}

export function noMemory(limit: number): DimmerError {
  return new DimmerError('overloaded', {
    detail: `the bodies of all requests exceed ${limit} bytes (MAX_WAITING_BYTES), and this one has held most memory for longest`,
    expected: 'room for the whole body',
    action: 'try again after the time in Retry-After, faster or with smaller pictures',
    retryAfterS: 1,
  });
}

export function stalledInDraining(): DimmerError {
  return new DimmerError('draining', {
    detail: 'the service is shutting down, and no more of this request arrived',
    expected: 'a replica that stays',
    action: 'send the request again, over a new connection',
    retryAfterS: 1,
  });
}

export function tinyChunks(meanBytes: number): DimmerError {
  return new DimmerError('invalid-request', {
    detail: `the message arrives in chunks of ${Math.ceil(meanBytes)} bytes on average, which take far more memory than it has bytes`,
    expected: 'chunks of at least some hundred bytes',
    action: 'let the library of the client write the message as a whole',
  });
}
