import fc from 'fast-check';
import t from 'tap';
import { DIMMER } from '../../bench/policies/rivals.js';
import { optimum } from '../../bench/simulate/oracle.js';
import { simulate } from '../../bench/simulate/simulate.js';
import { summarise } from '../../bench/simulate/summary.js';
import type { World } from '../../bench/simulate/world.js';
import { BATCH_SIZES } from '../../src/policy/picture.js';
import { trace, world } from './support.js';

/** Every subset of so many. */
function* subsets<T>(items: readonly T[], size: number, from = 0): Generator<T[]> {
  if (size === 0) return yield [];
  for (let n = from; n <= items.length - size; n++) {
    for (const rest of subsets(items, size - 1, n + 1)) yield [items[n] as T, ...rest];
  }
}

/** Every schedule there is: any pictures in a batch, neighbours or not, on any instance and thread, in any order. */
function best(arrivalsMs: readonly number[], world: World, freeMs: readonly number[]): number {
  let most = 0;
  for (const size of BATCH_SIZES.filter((s) => s <= arrivalsMs.length)) {
    for (const members of subsets([...arrivalsMs.keys()], size)) {
      for (const instance of world.instances) {
        freeMs.forEach((free, thread) => {
          const [first, last] = [
            arrivalsMs[members[0] as number] as number,
            arrivalsMs[members.at(-1) as number] as number,
          ];
          const endMs = Math.max(free, last) + world.predict(instance, size);
          if (endMs > first + world.deadlineMs) return;
          const left = arrivalsMs.filter((_, n) => !members.includes(n));
          const rest = best(left, world, freeMs.with(thread, endMs));
          most = Math.max(most, size * instance.accuracy + rest);
        });
      }
    }
  }
  return most;
}

const arrivals = (maxLength: number, max: number) =>
  fc.array(fc.integer({ min: 0, max }), { minLength: 1, maxLength }).map((a) => a.sort((x, y) => x - y));
const near = (a: number, b: number) => Math.abs(a - b) < 1e-9;

t.test('one thread: the oracle finds the best of all schedules', (t) => {
  fc.assert(
    fc.property(arrivals(5, 12), fc.integer({ min: 2, max: 12 }), (arrivalsMs, deadlineMs) => {
      const one = world({ deadlineMs });
      return near(optimum(arrivalsMs, one).utility * arrivalsMs.length, best(arrivalsMs, one, [0]));
    }),
    { numRuns: 150 },
  );
  t.end();
});

t.test('two threads: never above the best of all schedules, and it where no run is within another', (t) => {
  const even = world({ threads: 2, predict: (_, size) => 2 + size });
  fc.assert(
    fc.property(arrivals(4, 8), fc.integer({ min: 2, max: 10 }), (arrivalsMs, deadlineMs) => {
      const two = world({ threads: 2, deadlineMs });
      const found = optimum(arrivalsMs, two).utility * arrivalsMs.length;
      const same = { ...even, deadlineMs };
      return (
        found <= best(arrivalsMs, two, [0, 0]) + 1e-9 &&
        near(optimum(arrivalsMs, same).utility * arrivalsMs.length, best(arrivalsMs, same, [0, 0]))
      );
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test('no policy is above it', (t) => {
  fc.assert(
    fc.property(arrivals(30, 60), (arrivalsMs) => {
      const { utility } = summarise(simulate(trace(arrivalsMs), DIMMER, world()));
      return utility <= optimum(arrivalsMs, world()).utility + 1e-9;
    }),
  );
  t.end();
});

t.test('thinned, its bound is above the optimum and its schedule below', (t) => {
  fc.assert(
    fc.property(arrivals(30, 60), (arrivalsMs) => {
      const exact = optimum(arrivalsMs, world());
      const thinned = optimum(arrivalsMs, world(), { thinning: 0.2 });
      return (
        near(exact.bound, exact.utility) &&
        thinned.utility <= exact.utility + 1e-9 &&
        thinned.bound >= exact.utility - 1e-9 &&
        thinned.mostLabels <= exact.mostLabels
      );
    }),
  );
  t.end();
});

t.test('more than two threads are an error', (t) => {
  t.throws(() => optimum([0], world({ threads: 3 })), /one or two threads/);
  t.end();
});
