/** A contender by its name. */
import type { Contender } from '../policies/contender.js';
import { BATCHERS, CHOOSERS } from '../policies/rivals.js';

/** name: as in bench/policies; instance: for those that have one only. Raises Error if there is none. */
export function contenderOf(name: string, instance: string | undefined): Contender {
  const all = [...CHOOSERS, ...(instance === undefined ? [] : BATCHERS.map((make) => make(instance)))];
  const found = all.find((c) => c.name === name);
  if (!found) throw new Error(`no contender ${name}; there is ${all.map((c) => c.name).join(', ')}`);
  return found;
}
