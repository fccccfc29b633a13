/** Errors as the Open Inference Protocol has them: one text, of the words that the problem documents have elsewhere. */
import type { FastifyRequest } from 'fastify';
import type { DimmerError } from '../../errors.js';

/** Clients of the protocol show it only if the type is exactly this, without a charset. */
export const ERROR_MEDIA = 'application/json';

export const isUnderV2 = (url: string): boolean => /^\/v2(?=[/?]|$)/.test(url);

/** Whether this request is answered in the manner of the protocol; a path may be written in more than one way. */
export const speaksV2 = ({ url, routeOptions }: FastifyRequest): boolean =>
  isUnderV2(url) || isUnderV2(routeOptions?.url ?? '');

export function toV2Error({ code, facts: { detail, expected, action, members } }: DimmerError): { error: string } {
  const where = members?.image === undefined ? '' : ` in picture ${members.image} (counted from 0)`;
  return { error: `${code}${where}: ${detail}; expected: ${expected}; what to do: ${action}` };
}
