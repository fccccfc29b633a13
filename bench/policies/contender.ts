/** What takes part in a comparison: a policy, and what goes with it. In the simulator and in the real service alike. */
import type { Instance } from '../../src/family/instance.js';
import type { Load } from '../../src/policy/admission.js';
import { BATCH_SIZES, type Waiting } from '../../src/policy/picture.js';
import type { Policy } from '../../src/policy/policy.js';

/** A run that has ended. */
export interface Finished {
  readonly instance: Instance;
  readonly size: number;
  readonly predictedMs: number;
  readonly actualMs: number;
  /** How many of its pictures were too late. */
  readonly missed: number;
}

export interface Player {
  readonly policy: Policy;
  /** Admission: whether a picture that arrives is turned away. Without it all are taken. */
  refuses?(picture: Waiting, load: Load): boolean;
  /** Told of each run; what a policy learns from. */
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
