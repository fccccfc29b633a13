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
/** How the others of the protocol begin is theirs; a budget that is not understood must not pass for none. */
const PREFIX = 'budget_';
const ACTION = 'correct the parameter or leave it out';

/**
 * What a request may cost: its header's text or its parameters, and `standard` if it brings neither. Triton's `timeout`
 * (microseconds) is one more latency, whatever else there is: the smallest holds.
 *
 * Raises DimmerError invalid-budget.
 */
export function budgetOf(text: string | undefined, parameters: Parameters, standard: Budget): Budget {
  const given = Object.keys(parameters).filter((name) => name.startsWith(PREFIX));
  if (text !== undefined && given.length > 0) {
    throw invalid(
      `the request has an Inference-Budget header and a parameter ${given[0]}`,
      'one budget',
      'leave out the header or the parameters',
    );
  }
  const budget =
    text !== undefined ? parseBudget(text) : given.length > 0 ? fromParameters(given, parameters) : standard;
  const timeoutMs = timeoutOf(parameters.timeout);
  if (timeoutMs === undefined) return budget;
  return { ...budget, latency: Math.min(timeoutMs, budget.latency ?? Number.POSITIVE_INFINITY) };
}

function fromParameters(names: readonly string[], parameters: Parameters): Budget {
  const budget: Record<string, unknown> = { strict: true };
  for (const name of names) {
    const member = Object.hasOwn(MEMBERS, name) ? MEMBERS[name] : undefined;
    if (member === undefined) throw invalid(`there is no parameter ${name}`, Object.keys(MEMBERS).join(', '), ACTION);
    const value = parameters[name];
    const wrong = wrongValue(member, value);
    const expected = member === 'strict' ? 'true or false' : wrong?.expected;
    if (wrong) throw invalid(`parameter ${name} is ${wrong.shown}`, expected as string, ACTION);
    budget[member] = value;
  }
  return budget as unknown as Budget;
}

/** In ms; 0 is none, as in Triton. */
function timeoutOf(timeout: Parameter | undefined): number | undefined {
  if (timeout === undefined || timeout === 0) return undefined;
  const most = MAX_LATENCY_MS * 1000;
  if (Number.isInteger(timeout) && (timeout as number) > 0 && (timeout as number) <= most)
    return (timeout as number) / 1000;
  throw invalid('parameter timeout is no such time', `whole microseconds from 1 to ${most}, or 0 for none`, ACTION);
}
