/** The kinds of requests in a mixed soak test, and which answers to them are right. Pure. */
import type { Random } from '../../src/load/random.js';

export interface Kind {
  readonly name: 'picture' | 'form' | 'truncated' | 'text' | 'leaves';
  readonly share: number;
  /** Number of results in the answer; 0 if the request has to be refused. */
  readonly pictures: number;
}

/** Kinds of requests. share: of all requests; they add up to 1. */
export const KINDS: readonly Kind[] = [
  { name: 'picture', share: 0.8, pictures: 1 },
  { name: 'form', share: 0.08, pictures: 3 },
  { name: 'truncated', share: 0.04, pictures: 0 },
  { name: 'text', share: 0.04, pictures: 0 },
  { name: 'leaves', share: 0.04, pictures: 0 },
];

/** Draws a kind by the shares. */
export function kindOf(kinds: readonly Kind[], random: Random): Kind {
  const place = random() * kinds.reduce((sum, { share }) => sum + share, 0);
  let upTo = 0;
  for (const k of kinds) {
    upTo += k.share;
    if (place < upTo) return k;
  }
  return kinds[0] as Kind;
}

/** Draws a value, all equally likely. */
export const pick = <T>(values: readonly T[], random: Random): T => values[Math.floor(random() * values.length)] as T;

/** A budget with an unknown member, which is refused with 400. */
const NO_BUDGET = 'speed=1';

/** Budgets of a mixed soak test; undefined: none. accuracy: one that some instances reach and others do not. */
export function budgets(deadlineMs: number, accuracy: number): (string | undefined)[] {
  const latency = `latency=${Math.round(deadlineMs)}`;
  return [
    undefined,
    'cost=0.5',
    `accuracy=${accuracy}`,
    latency,
    `${latency}, strict=?0`,
    `${latency}, cost=0.6`,
    NO_BUDGET,
  ];
}

/** Statuses that any valid request may get, because its budget cannot be met now or at all. */
const FOR_THE_BUDGET = [422, 503, 504];
const REFUSED: Readonly<Record<string, number>> = { text: 415, truncated: 422 };

export interface Answered {
  readonly status: number;
  /** Code of the problem; `ok` for status 200. */
  readonly code: string;
  readonly results: number | undefined;
}

/**
 * What is wrong with an answer, as a message; undefined if it is right. alsoFine: `status code` pairs that are always
 * right.
 */
export function faultOf(
  { name, pictures }: Kind,
  budget: string | undefined,
  { status, code, results }: Answered,
  alsoFine: readonly string[] = [],
): string | undefined {
  if (name === 'leaves' || alsoFine.includes(`${status} ${code}`)) return undefined;
  const expected = budget === NO_BUDGET ? 400 : (REFUSED[name] ?? 200);
  if (status !== expected && !(expected !== 400 && FOR_THE_BUDGET.includes(status)))
    return `${name}: ${status} ${code}`;
  return status === 200 && results !== pictures ? `${name}: ${results} results for ${pictures} pictures` : undefined;
}
