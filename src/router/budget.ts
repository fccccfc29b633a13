/** Parses the `Inference-Budget` header, a structured-field dictionary (RFC 9651). Pure. */
import { parseDictionary } from 'structured-headers';
import { DimmerError, messageOf } from '../errors.js';

/** Limits of a request, as its header says. A missing member sets no limit. */
export interface Budget {
  /** At most these FLOPs for a picture. */
  readonly flops?: number;
  /** At most this share of the full network's FLOPs, in (0, 1]. */
  readonly cost?: number;
  /** ms from the last body byte read to the whole answer, at most. */
  readonly latency?: number;
  /** Least top-1 accuracy of the instance, in (0, 1]. */
  readonly accuracy?: number;
  /** true: refuse the request if the limits cannot be kept. false: come as near to the limits as possible. */
  readonly strict: boolean;
}

/** An hour: far beyond any request that waits for an answer. */
export const MAX_LATENCY_MS = 3_600_000;

const isNumber = (value: unknown): value is number => typeof value === 'number';
const isShare = (value: unknown) => isNumber(value) && value > 0 && value <= 1;

const MEMBERS = {
  flops: {
    expected: 'a whole number of FLOPs, at least 1, such as flops=200000000',
    holds: (v: unknown) => Number.isInteger(v) && (v as number) >= 1,
  },
  cost: { expected: 'a share in (0, 1], such as cost=0.5', holds: isShare },
  latency: {
    expected: `milliseconds above 0 and up to ${MAX_LATENCY_MS}, such as latency=25`,
    holds: (v: unknown) => isNumber(v) && v > 0 && v <= MAX_LATENCY_MS,
  },
  accuracy: { expected: 'a fraction in (0, 1], such as accuracy=0.93', holds: isShare },
  strict: {
    expected: 'a boolean: strict or strict=?1 (the default), or strict=?0',
    holds: (v: unknown) => typeof v === 'boolean',
  },
} as const;

export type BudgetMember = keyof typeof MEMBERS;

const NAMES = Object.keys(MEMBERS).join(', ');

export function invalid(
  detail: string,
  expected: string,
  action = 'correct the Inference-Budget header or leave it out',
): DimmerError {
  return new DimmerError('invalid-budget', { detail, expected, action });
}

/** What is wrong with the value of a member, if it is, and what is expected. */
export function wrongValue(
  member: BudgetMember,
  value: unknown,
): { readonly shown: string; readonly expected: string } | undefined {
  const { expected, holds } = MEMBERS[member];
  return holds(value) ? undefined : { shown: shown(value), expected };
}

/**
 * Header text -> Budget. Empty text gives a budget without limits: the most accurate instance, no deadline.
 * Raises DimmerError `invalid-budget` that says which member is wrong and what is expected.
 */
export function parseBudget(text: string): Budget {
  let members: ReturnType<typeof parseDictionary>;
  try {
    members = parseDictionary(text);
  } catch (error) {
    throw invalid(
      `Inference-Budget is not a structured-field dictionary: ${messageOf(error)}`,
      'members such as cost=0.5, latency=25, strict=?0 (RFC 9651: decimals have at most three digits after the point)',
    );
  }
  const budget: Record<string, unknown> = {};
  for (const [name, [value, parameters]] of members) {
    if (!Object.hasOwn(MEMBERS, name))
      throw invalid(`Inference-Budget has an unknown member ${name}`, `members ${NAMES}`);
    const wrong = wrongValue(name as BudgetMember, value);
    if (wrong) throw invalid(`Inference-Budget member ${name} is ${wrong.shown}`, wrong.expected);
    const parameter = Object.keys(parameters instanceof Map ? Object.fromEntries(parameters) : parameters)[0];
    if (parameter !== undefined)
      throw invalid(
        `Inference-Budget member ${name} has a parameter ${parameter}`,
        `no parameters, but ${MEMBERS[name as BudgetMember].expected}`,
      );
    budget[name] = value;
  }
  return { ...budget, strict: budget.strict ?? true } as unknown as Budget;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an inner list';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'boolean') return value ? 'a boolean (a member without a value is true)' : 'a boolean';
  return typeof value === 'number' ? String(value) : 'text or binary';
}
