import fc from 'fast-check';
import t from 'tap';
import { planner } from '../../bench/simulate/foresight.js';
import { optimum } from '../../bench/simulate/oracle.js';
import { simulate } from '../../bench/simulate/simulate.js';
import { summarise } from '../../bench/simulate/summary.js';
import { trace, world } from './support.js';

const arrivals = fc
  .array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 30 })
  .map((a) => a.sort((x, y) => x - y));

const reached = (arrivalsMs: readonly number[], sees: number) =>
  summarise(simulate(trace(arrivalsMs), planner(trace(arrivalsMs), world(), sees * world().deadlineMs), world()));

t.test('a planner that sees all that comes reaches the optimum', (t) => {
  fc.assert(
    fc.property(arrivals, (arrivalsMs) => {
      const { utility } = optimum(arrivalsMs, world());
      return Math.abs(reached(arrivalsMs, 100).utility - utility) < 0.01;
    }),
  );
  t.end();
});

t.test('one that sees nothing is never above it, and never late', (t) => {
  fc.assert(
    fc.property(arrivals, (arrivalsMs) => {
      const { utility, late } = reached(arrivalsMs, 0);
      return utility <= optimum(arrivalsMs, world()).utility + 1e-9 && late === 0;
    }),
  );
  t.end();
});
