/** A budget as flat parameters of a request, which the Open Inference Protocol has instead of headers. Pure. */
import { type Budget, type BudgetMember, invalid, MAX_LATENCY_MS, parseBudget, wrongValue } from './budget.js';

export type Parameter = string | number | boolean;
export type Parameters = Readonly<Record<string, Parameter>>;

const MEMBERS: Readonly<Record<string, BudgetMember>> = {
  budget_flops: 'flops',
  budget_cost: 'cost',
  budget_latency_ms: 'latency',
  budget_accuracy: 'accuracy',
  budget_strict: 'strict',
};
/** Unknown parameters that begin like this are refused: a budget with a typing error must not count as none. */
const PREFIX = 'budget_';
const ACTION = 'correct the parameter or leave it out';

/**
 * The budget of a request: from the text of its header, from its parameters, or `standard` if it has neither. Triton's
 * parameter `timeout` (microseconds) and `deadlineMs` are latencies beside any of them: the smallest latency holds. A
 * deadline beyond the longest latency is no limit.
 *
 * Raises DimmerError invalid-budget.
 */
export function budgetOf(
  text: string | undefined,
  parameters: Parameters,
  standard: Budget,
  deadlineMs = Number.POSITIVE_INFINITY,
): Budget {
  const given = Object.keys(parameters).filter((name) => name.startsWith(PREFIX));
  if (text !== undefined && given.length > 0) {
    throw invalid(
      `the request has an Inference-Budget header and a parameter ${shortName(given[0] as string)}`,
      'one budget',
      'leave out the header or the parameters',
    );
  }
  const budget =
    text !== undefined ? parseBudget(text) : given.length > 0 ? fromParameters(given, parameters) : standard;
  const none = Number.POSITIVE_INFINITY;
  const latency = Math.min(timeoutOf(parameters.timeout) ?? none, deadlineMs, budget.latency ?? none);
  return latency <= MAX_LATENCY_MS ? { ...budget, latency } : budget;
}

function fromParameters(names: readonly string[], parameters: Parameters): Budget {
  const budget: Record<string, unknown> = { strict: true };
  for (const name of names) {
    const member = Object.hasOwn(MEMBERS, name) ? MEMBERS[name] : undefined;
    if (member === undefined)
      throw invalid(`there is no parameter ${shortName(name)}`, Object.keys(MEMBERS).join(', '), ACTION);
    const value = parameters[name];
    const wrong = wrongValue(member, value);
    const expected = member === 'strict' ? 'true or false' : wrong?.expected;
    if (wrong) throw invalid(`parameter ${name} is ${wrong.shown}`, expected as string, ACTION);
    budget[member] = value;
  }
  return budget as unknown as Budget;
}

/** A name that a client made up, for an error. */
const shortName = (name: string) => (name.length > 100 ? `${name.slice(0, 100)}...` : name);

/** The parameter `timeout` in ms; 0 is none, as in Triton. */
function timeoutOf(timeout: Parameter | undefined): number | undefined {
  if (timeout === undefined || timeout === 0) return undefined;
  const most = MAX_LATENCY_MS * 1000;
  if (Number.isInteger(timeout) && (timeout as number) > 0 && (timeout as number) <= most)
    return (timeout as number) / 1000;
  throw invalid('parameter timeout is no such time', `whole microseconds from 1 to ${most}, or 0 for none`, ACTION);
}
