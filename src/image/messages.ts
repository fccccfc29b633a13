/** All messages to and from a decoding process. They are plain data, so an error is sent as its code and facts. */
import type { ErrorCode, ErrorFacts } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import type { Kind } from './files/first-picture.js';
import type { DecodeLimits } from './inspect.js';

/** File descriptor of the channel in a decoding process: the first after stdin, stdout and stderr. */
export const CHANNEL_FD = 3;

export type ToProcess =
  | {
      readonly type: 'decode';
      readonly bytes: Uint8Array;
      readonly rule: ResizeRule;
      readonly limits: DecodeLimits;
      /** Memory that the decode may take; for a picture that needs more, the reply is needs-memory. */
      readonly memoryBytes: number;
      /** Whether the decode may take long; if not, the reply for a large picture is takes-long. */
      readonly long: boolean;
    }
  | { readonly type: 'warm'; readonly rule: ResizeRule }
  /** Encodes a generated picture. */
  | { readonly type: 'sample'; readonly width: number; readonly height: number; readonly kind: Kind }
  | { readonly type: 'close' };

export type Reply =
  /** uint8 RGB pixels [crop, crop, 3]; in reply to `sample`, an encoded file. */
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'needs-memory'; readonly memoryBytes: number }
  | { readonly type: 'takes-long' }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | { readonly type: 'failed'; readonly message: string };

/**
 * A message without its bytes, which the channel sends beside this head. cpuMs: CPU ms that the process has used so
 * far.
 */
type WithoutBytes<T> = T extends { bytes: Uint8Array } ? Omit<T, 'bytes'> : T;
export type HeadToProcess = WithoutBytes<ToProcess>;
export type HeadFromProcess = WithoutBytes<Reply | { readonly type: 'ready' }> & { readonly cpuMs: number };
