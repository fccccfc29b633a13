/** All that crosses the border of a decoding process. Classes do not survive it, so errors cross it as their parts. */
import type { ErrorCode, ErrorFacts } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import type { Kind } from './files/first-picture.js';
import type { DecodeLimits } from './inspect.js';

/** The descriptor of the channel in a decoding process: the first after the standard three. */
export const CHANNEL_FD = 3;

export type ToProcess =
  | {
      readonly type: 'decode';
      readonly bytes: Uint8Array;
      readonly rule: ResizeRule;
      readonly limits: DecodeLimits;
      /** Memory that decoding may take; a picture that needs more is not begun. */
      readonly memoryBytes: number;
      /** It may take long; a picture that would and may not is not begun. */
      readonly long: boolean;
    }
  | { readonly type: 'warm'; readonly rule: ResizeRule }
  /** A picture of noise. */
  | { readonly type: 'sample'; readonly width: number; readonly height: number; readonly kind: Kind }
  | { readonly type: 'close' };

export type Reply =
  /** uint8 RGB pixels [crop, crop, 3]; of `sample` the bytes of the file. */
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'needs-memory'; readonly memoryBytes: number }
  | { readonly type: 'takes-long' }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | { readonly type: 'failed'; readonly message: string };

/** The bytes of a message, if it has some, go beside its head. cpuMs: of one CPU that the process has used so far. */
type WithoutBytes<T> = T extends { bytes: Uint8Array } ? Omit<T, 'bytes'> : T;
export type HeadToProcess = WithoutBytes<ToProcess>;
export type HeadFromProcess = WithoutBytes<Reply | { readonly type: 'ready' }> & { readonly cpuMs: number };
