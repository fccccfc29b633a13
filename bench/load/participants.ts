/** Who takes part in a comparison under real load, and the service of each. */
import { basename } from 'node:path';
import { BATCHERS, CHOOSERS } from '../policies/rivals.js';
import { compiled, type ServiceProcess, startService } from '../service.js';

export interface Participant {
  readonly name: string;
  /** Of bench/policies, in the place of the service's own choice of runs. */
  readonly contender?: string;
  /** All requests name it. */
  readonly instance?: string;
  /** All requests name the fixed instance that was best on the same trace: it has one, and no way to choose it. */
  readonly onBestFixed?: true;
  /** Another built checkout of dimmer, which chooses by its own plan: a path of its root. */
  readonly root?: string;
}

export const OURS: Participant = { name: 'dimmer' };
const FIXED = 'fixed:';
const CHECKOUT = 'checkout:';

/** The instance of a participant that has only one by its name; undefined of any other. */
export const fixedInstance = (name: string): string | undefined =>
  name.startsWith(FIXED) ? name.slice(FIXED.length) : undefined;

/** An older or newer build of dimmer; root: of its checkout. */
export const checkout = (root: string): Participant => ({ name: `${CHECKOUT}${basename(root)}`, root });

export const isCheckout = (name: string): boolean => name.startsWith(CHECKOUT);

/** All but ours; those that need the best fixed instance come after all fixed ones. */
export function others(instances: readonly string[]): Participant[] {
  return [
    ...instances.map((instance) => ({ name: `${FIXED}${instance}`, instance })),
    ...CHOOSERS.map(({ name }) => ({ name, contender: name })),
    ...BATCHERS.map((make) => make('').name).map((name) => ({ name, contender: name, onBestFixed: true as const })),
  ];
}

/** wanted: names, `fixed` for all of them; undefined for everybody. Throws Error for a name that nobody has. */
export function select(all: readonly Participant[], wanted: readonly string[] | undefined): Participant[] {
  if (wanted === undefined) return [...all];
  const unknown = wanted.filter((w) => w !== OURS.name && w !== 'fixed' && !all.some((p) => p.name === w));
  if (unknown.length) throw new Error(`no contender ${unknown.join(', ')}; there is ${names(all)}`);
  return all.filter((p) => wanted.includes(p.name) || (fixedInstance(p.name) && wanted.includes('fixed')));
}

const names = (all: readonly Participant[]) => [OURS.name, 'fixed', ...all.map((p) => p.name)].join(', ');

/**
 * Ours so many times, at even distances among the others, so that a host that changes meanwhile changes for all. The
 * others keep their order.
 */
export function interleave<T>(ours: T, times: number, all: readonly T[]): T[] {
  return Array.from({ length: times }, (_, n) => {
    const part = (k: number) => Math.round((k * all.length) / times);
    return [ours, ...all.slice(part(n), part(n + 1))];
  }).flat();
}

/**
 * A fresh service for one run, so that nothing learnt before helps or hinders. Ours is the built service itself, unless
 * an engine thread has to be killed.
 */
export function startFor(
  { contender, instance, root }: Participant,
  killable: boolean,
  environment: Record<string, string>,
): Promise<ServiceProcess> {
  // What a version keeps between starts is not read by another.
  if (root)
    return startService({ ...environment, CACHE_DIR: `${environment.CACHE_DIR}-${basename(root)}` }, undefined, {
      root,
    });
  const player = contender === undefined ? [] : [contender, ...(instance === undefined ? [] : [instance])];
  const entry = player.length > 0 || killable ? [compiled('load/service.js'), ...player] : undefined;
  return startService(environment, entry);
}
