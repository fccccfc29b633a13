/** Inspects and decodes a picture of the corpus for a test. */
import { DimmerError } from '../../src/errors.js';
import type { ResizeRule } from '../../src/family/instance.js';
import type { Header } from '../../src/image/decode.js';
import { decode, inspect } from '../../src/image/decode.js';

export const RULE = { size: 32, crop: 32, kernel: 'cubic', alpha: 'white' } as const satisfies ResizeRule;
export const LIMITS = { maxPixels: 4_000_000 };

export type Outcome =
  | { readonly header: Header; readonly pixels: Uint8Array }
  | { readonly error: DimmerError; readonly header: Header | undefined };

/** The decoded picture, or its DimmerError; any other error is thrown. */
export async function outcomeOf(bytes: Uint8Array, rule: ResizeRule = RULE, limits = LIMITS): Promise<Outcome> {
  let header: Header | undefined;
  try {
    header = await inspect(bytes, rule, limits);
    return { header, pixels: await decode(bytes, header, rule, limits) };
  } catch (error) {
    if (error instanceof DimmerError) return { error, header };
    throw error;
  }
}
