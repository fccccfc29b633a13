/** The budget of a request as the header Inference-Budget. */
import { serializeDictionary } from 'structured-headers';
import type { components } from './schema.js';

/**
 * What an answer may cost; docs/api.md of the service explains each member. `flops`, `cost`, `latency` (ms) are upper
 * bounds, `accuracy` is a lower one. `strict: false`: come as near as possible instead of refusing.
 */
export type Budget = Partial<Omit<components['schemas']['Classification']['budget'], 'met'>>;

type Limit = Exclude<keyof Budget, 'strict'>;

/** Digits after the point that the header can carry (RFC 9651: 3; FLOPs are whole), and the side that keeps the bound. */
const LIMITS: Record<Limit, { readonly digits: number; readonly round: (value: number) => number }> = {
  flops: { digits: 0, round: Math.floor },
  cost: { digits: 3, round: Math.floor },
  latency: { digits: 3, round: Math.floor },
  accuracy: { digits: 3, round: Math.ceil },
};

/**
 * The text of Inference-Budget. Limits with more digits than the header can carry are rounded so that they still hold.
 * Raises TypeError for an unknown member or a wrong type, RangeError for a limit that is not above 0 or too small to be
 * written. The service judges the rest.
 */
export function budgetHeader(budget: Budget): string {
  const given = Object.entries(budget).filter(([, value]) => value !== undefined);
  return serializeDictionary(Object.fromEntries(given.map(([name, value]) => [name, written(name, value)])));
}

function written(name: string, value: unknown): number | boolean {
  if (name === 'strict') {
    if (typeof value !== 'boolean') throw new TypeError(`budget.strict is ${value}; expected true or false`);
    return value;
  }
  if (!Object.hasOwn(LIMITS, name)) {
    throw new TypeError(`a budget has no ${name}; expected ${Object.keys(LIMITS).join(', ')} or strict`);
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new TypeError(`budget.${name} is ${value}; expected a finite number`);
  }
  const { digits, round } = LIMITS[name as Limit];
  const scale = 10 ** digits;
  // Scaling is not exact: without the comparison a value with three digits could lose its last one.
  const sent = Number(value.toFixed(digits)) === value ? value : round(value * scale) / scale;
  if (sent > 0) return sent;
  throw new RangeError(`budget.${name} is ${value}; expected at least ${1 / scale}`);
}
