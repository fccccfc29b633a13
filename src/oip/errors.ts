/** Errors of the Open Inference Protocol, which have one text, with the words of the problem documents. */
import type { DimmerError } from '../errors.js';

export function textOf({ code, facts: { detail, expected, action, members } }: DimmerError): string {
  const where = members?.image === undefined ? '' : ` in picture ${members.image} (counted from 0)`;
  return `${code}${where}: ${detail}; expected: ${expected}; what to do: ${action}`;
}
