/** Errors of the paths below /v2, which have the shape of the Open Inference Protocol. */
import type { FastifyRequest } from 'fastify';
import type { DimmerError } from '../../errors.js';
import { textOf } from '../../oip/errors.js';

/** Clients of the protocol show the text only if the type is exactly this, without a charset. */
export const ERROR_MEDIA = 'application/json';

export const isUnderV2 = (url: string): boolean => /^\/v2(?=[/?]|$)/.test(url);

/** Whether errors of this request have the protocol's shape. A URL can be written in other ways than its route. */
export const speaksV2 = ({ url, routeOptions }: FastifyRequest): boolean =>
  isUnderV2(url) || isUnderV2(routeOptions?.url ?? '');

export const toV2Error = (error: DimmerError): { error: string } => ({ error: textOf(error) });
