/** The budget of a command, as options, and the text of Inference-Budget that they make. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DimmerError } from '../errors.js';
import { parseBudget } from '../router/budget.js';

/** As typed, and checked: what is sent is what was meant, to the digit. */
export interface BudgetOptions {
  readonly cost?: string;
  readonly flops?: string;
  readonly latency?: string;
  readonly accuracy?: string;
  readonly notStrict?: true;
}

const MEMBERS = ['latency', 'cost', 'flops', 'accuracy'] as const;

/** Adds the options to a command. They can be given together, as in the header. */
export function addBudget(command: Command): Command {
  const option = (name: (typeof MEMBERS)[number], value: string, description: string) =>
    new Option(`--${name} <${value}>`, description).argParser((text) => checked(name, text)).helpGroup('Budget:');
  return command
    .addOption(option('cost', 'share', "at most this share of the full network's FLOPs, in (0, 1]"))
    .addOption(option('flops', 'n', 'at most these FLOPs for a picture'))
    .addOption(option('latency', 'ms', 'the whole answer within so many ms, from the last byte of the picture'))
    .addOption(option('accuracy', 'fraction', 'the cheapest instance of at least this measured accuracy, in (0, 1]'))
    .addOption(
      new Option('--not-strict', 'never refuse for the budget, come as near as possible (strict=?0)').helpGroup(
        'Budget:',
      ),
    );
}

/** Digits alone, or `0.5, latency=3` would be two members; the rest is the service's own check. */
function checked(name: (typeof MEMBERS)[number], text: string): string {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('Expected a number in decimal digits, such as 0.5.');
  try {
    parseBudget(`${name}=${text}`);
  } catch (error) {
    if (!(error instanceof DimmerError)) throw error;
    throw new InvalidArgumentError(`Expected ${error.facts.expected}.`);
  }
  return text;
}

/** undefined if nothing was asked: the service's DEFAULT_BUDGET holds then. */
export function budgetText(options: BudgetOptions): string | undefined {
  const members = MEMBERS.flatMap((name) => (options[name] === undefined ? [] : [`${name}=${options[name]}`]));
  if (options.notStrict) members.push('strict=?0');
  return members.length === 0 ? undefined : members.join(', ');
}
