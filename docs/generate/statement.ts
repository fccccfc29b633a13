/** What a result says to a question, and how a row of answers is worded. Words follow from the figures, never by hand. */
import type { Result } from './results.js';

export interface Check {
  readonly what: string;
  readonly holds: boolean;
  readonly measured: string;
  readonly goal: string;
}

export interface Statement {
  readonly result: Result;
  /** With spread and n. */
  readonly figure: string;
  /** None: nothing was demanded. */
  readonly checks: readonly Check[];
}

export interface Question {
  /** As a user would ask it. Where there is a goal, yes is what is hoped for, unless `headline` answers it. */
  readonly ask: string;
  /** In words, for the table. */
  readonly goal: string;
  /** The answer itself, where it is more than yes or no. */
  readonly headline?: string;
  /** What its demands are of, where they are told apart by that: "traces". */
  readonly unit?: string;
  readonly statements: readonly Statement[];
}

/** undefined: there is no goal. */
export function reached({ statements }: Question): { readonly held: number; readonly all: number } | undefined {
  const checks = statements.flatMap((s) => s.checks);
  return checks.length === 0 ? undefined : { held: checks.filter((c) => c.holds).length, all: checks.length };
}

/** "yes", "**no**", or in part. */
export function answer(question: Question): string {
  const { headline, unit } = question;
  const counts = reached(question);
  if (counts === undefined) return headline ?? '';
  const { held, all } = counts;
  const [yes, no] = headline ? ['as demanded', '**not as demanded**'] : ['yes', '**no**'];
  const verdict =
    held === all
      ? yes
      : held === 0
        ? no
        : `**in part**: ${unit ? `on ${held} of ${all} ${unit}` : `${held} of ${all} demands hold`}`;
  return headline ? `${headline}: ${verdict}` : verdict;
}

export const isReached = (question: Question): boolean => {
  const counts = reached(question);
  return counts === undefined || counts.held === counts.all;
};

export const check = (what: string, holds: boolean, measured: string, goal: string): Check => ({
  what,
  holds,
  measured,
  goal,
});
