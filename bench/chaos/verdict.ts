/** Pure: whether a chaos run shows a service that is never wrong. */
import type { Plan } from './plan.js';

export interface Seen {
  readonly plan: Plan;
  readonly longestSilenceMs: number;
  /** By status and reason, as clients read them. */
  readonly read: Readonly<Record<string, number>>;
  /** What was wrong with answers, what is not accounted for, what is still held. */
  readonly wrong: readonly string[];
  /** Engine threads that died, as the service counted them. */
  readonly deaths: number;
  /** Pictures answered by family. */
  readonly answered: Readonly<Record<string, number>>;
  /** Status of a request that comes alone after all, by family. */
  readonly afterwards: Readonly<Record<string, number>>;
}

export interface Finding {
  readonly what: string;
  readonly holds: boolean;
  readonly detail: string;
}

/** Of silence, at least once. */
const SILENCE_MS = 60_000;
/** Faults shown: one kind repeats itself. */
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

/** Overload (503) and deadlines (504) are refusals, and an engine thread that died under a picture is said so. */
const isFault = (key: string) => !/^50[34] /.test(key) && key !== '500 engine-failed';
