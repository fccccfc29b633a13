/** Whether DEFAULT_BUDGET can be met here, so that an operator hears it at start and not every client in each answer. */
import type { Logger } from 'pino';
import { DimmerError, messageOf, StartError } from './errors.js';
import type { ServedFamily } from './family/served.js';
import { type Budget, parseBudget } from './router/budget.js';
import { choose, type Offer } from './router/choice.js';

/** Raises StartError if it cannot be read. */
export function readDefaultBudget(text: string): Budget {
  try {
    return parseBudget(text);
  } catch (error) {
    const expected = error instanceof DimmerError ? error.facts.expected : '';
    throw new StartError(`DEFAULT_BUDGET=${text}: ${messageOf(error)}; expected ${expected}`);
  }
}

/**
 * Raises StartError if no instance of a family is within its flops, cost and accuracy: that is so on every host. A latency
 * that cannot be met here is a warning: the same setting may serve on others. One that is not strict refuses nothing.
 * idleMs: of the family's instance, on this host when nothing else is to do.
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
        'DEFAULT_BUDGET names a latency that this host cannot meet: requests without a budget of their own are refused',
      );
    }
  }
}

function refusalOf(budget: Budget, offer: Offer): DimmerError | undefined {
  try {
    choose(budget, offer);
    return undefined;
  } catch (error) {
    if (error instanceof DimmerError) return error;
    throw error;
  }
}
