/**
 * What takes part in a comparison: a choice of runs in the place of the service's own, in virtual time and in the real
 * service alike. All else is the service's for all: admission, decoding by deadline, dropping what no allowed instance can
 * finish in time any more, and pictures that are best effort, which get their cheapest instance when nothing else waits.
 */
import type { Instance } from '../../src/family/instance.js';
import type { ChooseRun } from '../../src/plan/next.js';
import { BATCH_SIZES } from '../../src/plan/snapshot.js';

/** A run that has ended. */
export interface Finished {
  readonly instance: Instance;
  readonly size: number;
  readonly actualMs: number;
  /** How many of its pictures were too late. */
  readonly missed: number;
}

export interface Player {
  readonly chooseRun: ChooseRun;
  /** Told of each run; what a player learns from. */
  finished?(facts: Finished): void;
}

export interface Contender {
  readonly name: string;
  /** Source, what it does, and what we had to decide. */
  readonly note: string;
  /** A fresh one for a service with these instances, most accurate first: what it learnt before is forgotten. */
  create(instances: readonly Instance[]): Player;
}

/** The largest size that runs and is not above n; n >= 1. */
export const sizeWithin = (n: number): number => BATCH_SIZES.findLast((size) => size <= n) ?? 1;

/** Raises Error if there is none. */
export function instanceOf(instances: readonly Instance[], id: string): Instance {
  const found = instances.find((i) => i.id === id);
  if (!found) throw new Error(`no instance ${id}; there is ${instances.map((i) => i.id).join(', ')}`);
  return found;
}
