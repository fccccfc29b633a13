import type { ResizeRule } from '../../src/family/instance.js';
import { decode, inspect } from '../../src/image/decode.js';

/** Encoded picture -> RGB at the input size, as the service does it: the header first. */
export async function readPicture(bytes: Uint8Array, rule: ResizeRule, maxPixels: number): Promise<Uint8Array> {
  const limits = { maxPixels };
  return decode(bytes, await inspect(bytes, rule, limits), rule, limits);
}
