/** Why a command did not do what it was asked to, for people and, with --json, for programs. */
import { messageOf, StartError } from '../errors.js';
import { printable } from './text.js';

/** Exit statuses; docs/cli.md and every --help have them. */
export const EXIT = {
  /** Done. */
  fine: 0,
  /** Asked rightly, and it failed: the service refused or was not there, or a goal was missed. */
  failed: 1,
  /** Asked wrongly: an option, an argument or a setting. */
  usage: 2,
} as const;

/** The members of a problem (RFC 9457, and those of this service); one of another service may have fewer. */
export interface Problem {
  readonly title: string;
  readonly type?: string | undefined;
  readonly status?: number | undefined;
  /** What was wrong. */
  readonly detail?: string | undefined;
  /** What would have been right. */
  readonly expected?: string | undefined;
  /** What to do now. */
  readonly action?: string | undefined;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterS?: number | undefined;
  readonly [member: string]: unknown;
}

/** A command that was asked rightly and failed. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** Settings that cannot be used. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** title: of the failure that a StartError becomes; any other error stays as it is. */
export function fromStart(title: string, error: unknown): unknown {
  return error instanceof StartError ? new Failure({ title, detail: messageOf(error) }) : error;
}

/** In lines for people, in the words of whoever refused. */
export function describeProblem({ title, status, detail, expected, action, retryAfterS }: Problem): string {
  const lines = [
    status === undefined ? title : `${title} (${status})`,
    detail && `  what was wrong: ${detail}`,
    expected && `  expected: ${expected}`,
    action && `  what to do: ${action}`,
    retryAfterS !== undefined && `  try again after ${retryAfterS} s`,
  ];
  return lines.flatMap((line) => (line ? [`${paragraph(line)}\n`] : [])).join('');
}

/** Further lines of one text stand below its first. */
const paragraph = (text: string) => text.split('\n').map(printable).join('\n    ');
