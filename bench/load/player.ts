/** Finds a contender (bench/policies) by its name. */
import type { Contender } from '../policies/contender.js';
import { BATCHERS, CHOOSERS } from '../policies/rivals.js';

/** instance: id, for contenders that run a single instance. Raises Error for an unknown name. */
export function contenderOf(name: string, instance: string | undefined): Contender {
  const all = [...CHOOSERS, ...(instance === undefined ? [] : BATCHERS.map((make) => make(instance)))];
  const found = all.find((c) => c.name === name);
  if (!found) throw new Error(`no contender ${name}; there is ${all.map((c) => c.name).join(', ')}`);
  return found;
}
