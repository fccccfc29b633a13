/**
 * What a policy can know, and what that is worth: the optimum knows all arrivals, a service none. Between the two stands
 * a planner that knows those of the next so many ms and, after them, how many come on average; it has no limit on its
 * own computing. Whenever the thread is free it finds the optimum of what waits, what it knows will come and what it
 * expects, evenly spaced, and does the first thing of it (model predictive control). What it reaches without looking
 * ahead is about what can be asked of any policy; what it reaches with, how far one would have to see for the rest.
 */
import { triage } from '../../src/policy/policy.js';
import type { Contender } from '../policies/contender.js';
import { optimum } from './oracle.js';
import type { Trace } from './traces.js';
import type { World } from './world.js';

/** How far it plans beyond what it knows, in deadlines: what it does now matters to those that come meanwhile. */
const EXPECTED_DEADLINES = 2;

/** Pictures that a step of its planning may lose, so that it takes less time. */
const THINNING = 0.005;

/** World: of one thread. knownMs: how far it sees. It knows the trace's mean rate, but not that the trace ends. */
export const planner = (trace: Trace, world: World, knownMs: number): Contender => ({
  name: `planner that sees ${knownMs} ms`,
  note: 'The optimum of what waits, what is known to come and the mean rate after it, found anew for each run.',
  create: () => ({
    policy: (waiting, { nowMs }) => {
      const { alive, expired, turnedLate } = triage(waiting, { ...world, nowMs });
      const coming = expectedAfter(nowMs, knownMs, EXPECTED_DEADLINES * world.deadlineMs, trace);
      const { first } = optimum([...alive.map((w) => w.arrivalMs), ...coming], world, {
        fromMs: nowMs,
        thinning: THINNING,
      });
      if (!first) return { expired, turnedLate };
      // It waits for one that may not come: then it plans anew.
      if (first.startMs > nowMs) return { expired, turnedLate, waitUntilMs: first.startMs };
      const { instance, place, size } = first;
      const run = { instance, pictures: alive.slice(place, place + size), predictedMs: world.predict(instance, size) };
      return { expired: [...expired, ...alive.slice(0, place)], turnedLate, run };
    },
  }),
});

/** Arrivals as they will be for knownMs, and from then on at the mean rate. */
function expectedAfter(nowMs: number, knownMs: number, expectedMs: number, { arrivalsMs }: Trace): number[] {
  const gapMs = (arrivalsMs.at(-1) as number) / arrivalsMs.length;
  const known = arrivalsMs.filter((at) => at > nowMs && at <= nowMs + knownMs);
  const count = Math.floor(expectedMs / gapMs);
  return [...known, ...Array.from({ length: count }, (_, n) => nowMs + knownMs + (n + 1) * gapMs)];
}
