/** The errors for pictures that are too many or too large, and whose decode would be too expensive or was stopped. */
import { DimmerError } from '../errors.js';

/** Decoding would take more memory than `limit`, in bytes. */
export function needsTooMuch(bytes: number, limit: number): DimmerError {
  const mb = (n: number) => `${Math.ceil(n / 1024 / 1024)} MiB`;
  return new DimmerError('image-too-large', {
    detail: `decoding this picture can take ${mb(bytes)} of memory`,
    expected: `at most ${mb(limit)} (MAX_DECODE_BYTES)`,
    action: 'make it smaller before sending, or save it as a baseline JPEG, which takes the least',
  });
}

export function tookTooLong(ms: number): DimmerError {
  return new DimmerError('invalid-image', {
    detail: `decoding took more than ${ms} ms and was stopped`,
    expected: 'a picture that is decoded within DECODE_TIMEOUT_MS',
    action: 'save it again, smaller or as a baseline JPEG',
  });
}

/** The longest of too many slow decodes is stopped. ms: time that it has taken. */
export function tooManySlow(ms: number): DimmerError {
  return new DimmerError('overloaded', {
    detail: `decoding was stopped after ${Math.round(ms)} ms because too many pictures were slow to decode`,
    expected: 'fewer pictures at once that take long to decode',
    action: 'try again later, or save it smaller or as a baseline JPEG',
    retryAfterS: 1,
  });
}

export function endsItsProcess(): DimmerError {
  return new DimmerError('invalid-image', {
    detail: 'decoding this picture ended the decoding process, twice',
    expected: 'a picture that the decoder survives',
    action: 'check that the file opens in a viewer and save it again',
  });
}

export function tooManyImages(limit: number): DimmerError {
  return new DimmerError('too-many-images', {
    detail: `the request has more than ${limit} pictures`,
    expected: `at most ${limit} (MAX_IMAGES)`,
    action: 'send the others in further requests',
  });
}

export function pictureTooLarge(image: number, most: number): DimmerError {
  return new DimmerError('image-too-large', {
    detail: `a picture has more than ${most} bytes`,
    expected: `at most ${most} bytes for each picture (MAX_IMAGE_BYTES)`,
    action: 'make the picture smaller',
    members: { image },
  });
}
