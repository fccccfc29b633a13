/** All that crosses the border of a decoding process. Classes do not survive it, so errors cross it as their parts. */
import type { ErrorCode, ErrorFacts } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import type { DecodeLimits } from './inspect.js';

export type ToProcess =
  | {
      readonly type: 'decode';
      readonly bytes: Uint8Array;
      readonly rule: ResizeRule;
      readonly limits: DecodeLimits;
      /** Memory that decoding may take; a picture that needs more is not begun. */
      readonly memoryBytes: number;
    }
  | { readonly type: 'warm'; readonly rule: ResizeRule }
  /** A JPEG of noise. */
  | { readonly type: 'sample'; readonly width: number; readonly height: number }
  | { readonly type: 'close' };

export type Reply =
  /** uint8 RGB pixels [crop, crop, 3]; of `sample` the bytes of the file. */
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'needs-memory'; readonly memoryBytes: number }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | { readonly type: 'failed'; readonly message: string };

/** cpuMs: of one CPU that the process has used so far. */
export type FromProcess = (Reply | { readonly type: 'ready' }) & { readonly cpuMs: number };
