/**
 * A contender is a scheduling policy that is compared with the service's own: it replaces the choice of the next run
 * (instance and batch), in virtual time and in the real service. Everything else is the service's own for all
 * contenders: admission, decoding in order of deadline, dropping pictures that no allowed instance can finish in time,
 * and best effort pictures, which run on their cheapest instance when no other picture is decoded.
 */
import type { Instance } from '../../src/family/instance.js';
import type { ChooseRun } from '../../src/plan/next.js';
import { BATCH_SIZES } from '../batch-sizes.js';

/** A run that has ended. size: number of its pictures; actualMs: its wall time. */
export interface Finished {
  readonly instance: Instance;
  readonly size: number;
  readonly actualMs: number;
  /** Number of its pictures that missed their deadline. */
  readonly missed: number;
}

/** A contender at work in one service. */
export interface Player {
  readonly chooseRun: ChooseRun;
  /** Called after each run, so that the player can learn from it. */
  finished?(facts: Finished): void;
}

export interface Contender {
  readonly name: string;
  /** Source, description, and what the source leaves open. Shown in docs/benchmarks.md. */
  readonly note: string;
  /** A new player, which has learnt nothing. instances: those of the service, most accurate first. */
  create(instances: readonly Instance[]): Player;
}

/** The largest batch size of the service that is at most n; n >= 1. */
export const sizeWithin = (n: number): number => BATCH_SIZES.findLast((size) => size <= n) ?? 1;

/** The instance with this id. Raises Error if there is none. */
export function instanceOf(instances: readonly Instance[], id: string): Instance {
  const found = instances.find((i) => i.id === id);
  if (!found) throw new Error(`no instance ${id}; there is ${instances.map((i) => i.id).join(', ')}`);
  return found;
}
