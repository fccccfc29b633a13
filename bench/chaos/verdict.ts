/** Checks the outcome of a chaos run. Pure. */
import type { Plan } from './plan.js';

export interface Seen {
  readonly plan: Plan;
  readonly longestSilenceMs: number;
  /** Number of answers that clients read, by status and reason. */
  readonly read: Readonly<Record<string, number>>;
  /**
   * Wrong answers, requests that are not accounted for, and pictures or bytes that the service still holds, as
   * messages.
   */
  readonly wrong: readonly string[];
  /** Engine threads that died, by the service's metrics. */
  readonly deaths: number;
  /** Number of answered pictures by family. */
  readonly answered: Readonly<Record<string, number>>;
  /** HTTP status of a single request after the run, by family. */
  readonly afterwards: Readonly<Record<string, number>>;
}

export interface Finding {
  readonly what: string;
  readonly holds: boolean;
  readonly detail: string;
}

/** A run must have a silence at least as long. */
const SILENCE_MS = 60_000;
/** Number of different messages that are printed: most repeat each other. */
const MOST_SHOWN = 10;

export function findings(seen: Seen): Finding[] {
  const faults = Object.entries(seen.read).filter(([key]) => key.startsWith('5') && isFault(key));
  const count = (kind: string) => seen.plan.blows.filter((b) => b.kind === kind).length;
  const [kills, freezes] = [count('kill'), count('freeze')];
  const shown = [...new Set(seen.wrong)].slice(0, MOST_SHOWN).join('; ');
  return [
    {
      what: 'no 500 but engine-failed',
      holds: faults.length === 0,
      detail: JSON.stringify(Object.fromEntries(faults)),
    },
    {
      what: 'every request is accounted for and rightly answered',
      holds: seen.wrong.length === 0,
      detail: shown || 'all',
    },
    {
      what: 'each kill ended one engine thread',
      holds: kills > 0 && seen.deaths === kills,
      detail: `${seen.deaths} of ${kills}`,
    },
    { what: 'the service was stopped and went on', holds: freezes > 0, detail: `${freezes} times` },
    {
      what: 'a silence of over a minute',
      holds: seen.longestSilenceMs > SILENCE_MS,
      detail: `${(seen.longestSilenceMs / 1000).toFixed(1)} s`,
    },
    {
      what: 'every family answered',
      holds: Object.values(seen.answered).every((n) => n > 0),
      detail: JSON.stringify(seen.answered),
    },
    {
      what: 'every family answers afterwards',
      holds: Object.values(seen.afterwards).every((status) => status === 200),
      detail: JSON.stringify(seen.afterwards),
    },
  ];
}

/**
 * Overload (503) and missed deadlines (504) are refusals, not faults; `engine-failed` is expected, as threads are
 * killed.
 */
const isFault = (key: string) => !/^50[34] /.test(key) && key !== '500 engine-failed';
