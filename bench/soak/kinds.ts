/** Pure: what clients send in a mixed soak, and which answers to it are right. */
import type { Random } from '../../src/load/random.js';

export interface Kind {
  readonly name: 'picture' | 'form' | 'truncated' | 'text' | 'leaves';
  readonly share: number;
  /** Pictures of an answer; 0 if it is refused. */
  readonly pictures: number;
}

/** Shares add up to 1. */
export const KINDS: readonly Kind[] = [
  { name: 'picture', share: 0.8, pictures: 1 },
  { name: 'form', share: 0.08, pictures: 3 },
  { name: 'truncated', share: 0.04, pictures: 0 },
  { name: 'text', share: 0.04, pictures: 0 },
  { name: 'leaves', share: 0.04, pictures: 0 },
];

/** By its share. */
export function kindOf(kinds: readonly Kind[], random: Random): Kind {
  const place = random() * kinds.reduce((sum, { share }) => sum + share, 0);
  let upTo = 0;
  for (const k of kinds) {
    upTo += k.share;
    if (place < upTo) return k;
  }
  return kinds[0] as Kind;
}

export const pick = <T>(values: readonly T[], random: Random): T => values[Math.floor(random() * values.length)] as T;

/** No member of a budget; it is refused whatever else holds. */
const NO_BUDGET = 'speed=1';

/** Each budget as often as any other. accuracy: one that some instances have and others do not. */
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

/** Statuses that every valid request may get: its budget cannot be met, now or at all. */
const FOR_THE_BUDGET = [422, 503, 504];
const REFUSED: Readonly<Record<string, number>> = { text: 415, truncated: 422 };

export interface Answered {
  readonly status: number;
  /** Of the problem; `ok` of an answer. */
  readonly code: string;
  readonly results: number | undefined;
}

/** What is wrong with an answer; undefined if nothing is. alsoFine: `status code`, whatever was asked. */
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
