import type { ResizeRule } from '../../src/family/instance.js';
import { decode, inspect } from '../../src/image/decode.js';

/** Inspects and decodes a picture as the service does: bytes -> uint8 RGB at the input size. */
export async function readPicture(bytes: Uint8Array, rule: ResizeRule, maxPixels: number): Promise<Uint8Array> {
  const limits = { maxPixels };
  return decode(bytes, await inspect(bytes, rule, limits), rule, limits);
}
