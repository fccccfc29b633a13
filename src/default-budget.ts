/** Checks at start whether DEFAULT_BUDGET is valid and can be met, so that the operator sees it before clients do. */
import type { Logger } from 'pino';
import { DimmerError, messageOf, StartError } from './errors.js';
import type { ServedFamily } from './family/served.js';
import { type Budget, parseBudget } from './router/budget.js';
import { choose, type Offer } from './router/choice.js';

/** Parses DEFAULT_BUDGET. Raises StartError if it is invalid. */
export function readDefaultBudget(text: string): Budget {
  try {
    return parseBudget(text);
  } catch (error) {
    const expected = error instanceof DimmerError ? error.facts.expected : '';
    throw new StartError(`DEFAULT_BUDGET=${text}: ${messageOf(error)}; expected ${expected}`);
  }
}

/**
 * Checks a strict default budget against every family. Raises StartError if no instance is within its flops, cost and
 * accuracy, which no host could change. Only logs a warning if this host cannot meet its latency, because another host
 * with the same setting may. A budget that is not strict refuses nothing, so it is not checked. idleMs: ms of an
 * instance on this host while it is idle.
 */
export function checkDefaultBudget(
  text: string,
  families: readonly ServedFamily[],
  idleMs: Offer['idleMs'],
  logger: Logger,
): void {
  const budget = readDefaultBudget(text);
  if (!budget.strict) return;
  const { latency, ...bounds } = budget;
  for (const { family, instances, full } of families) {
    const offer = { instances, fullFlops: full.flops, idleMs };
    const impossible = refusalOf(bounds, offer);
    if (impossible) {
      throw new StartError(
        `DEFAULT_BUDGET=${text}: ${family.name} has no instance for it, so every request without a budget of its own would be refused; ${impossible.facts.expected}, or strict=?0 for the nearest answer`,
      );
    }
    const unmet = latency === undefined ? undefined : refusalOf(budget, offer);
    if (unmet) {
      logger.warn(
        { defaultBudget: text, model: family.name, expected: unmet.facts.expected },
        'DEFAULT_BUDGET has a latency that this host cannot meet: requests without a budget of their own are refused',
      );
    }
  }
}

/** The error infeasible-budget for a budget; undefined if it can be met. */
function refusalOf(budget: Budget, offer: Offer): DimmerError | undefined {
  try {
    choose(budget, offer);
    return undefined;
  } catch (error) {
    if (error instanceof DimmerError) return error;
    throw error;
  }
}
