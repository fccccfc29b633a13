import t from 'tap';
import { cheapestOf, firstAlone } from '../../src/policy/fallback.js';
import { FULL, HALF, QUARTER } from '../support/instances.js';

const waiting = (deadlineMs: number, more: object = {}) => ({
  allowed: [FULL, HALF, QUARTER],
  deadlineMs,
  strict: true,
  late: false,
  arrivalMs: 0,
  ...more,
});

t.test('the cheapest has the fewest FLOPs, whatever the order; of equal ones the first', (t) => {
  t.equal(cheapestOf([FULL, QUARTER, HALF]), QUARTER);
  t.equal(cheapestOf([QUARTER]), QUARTER);
  const twin = { ...QUARTER, id: 'twin' };
  t.equal(cheapestOf([QUARTER, twin]), QUARTER);
  t.end();
});

t.test('the first whose time is not over runs alone; strict ones whose time is over have expired', (t) => {
  const [over, late, lenient, next] = [
    waiting(10),
    waiting(5, { late: true }),
    waiting(5, { strict: false }),
    waiting(11),
  ] as const;
  const { expired, turnedLate, run } = firstAlone([over, next, late], 10);
  t.same(expired, [over], 'at its deadline');
  t.same(turnedLate, []);
  t.same(run, { instance: QUARTER, pictures: [next], predictedMs: 0 });
  t.same(firstAlone([late, next], 10).run?.pictures, [late], 'late ones run');
  t.same(firstAlone([lenient, next], 10).run?.pictures, [lenient], 'and those that are not strict');
  t.same(firstAlone([over], 10), { expired: [over], turnedLate: [] }, 'nothing is left');
  t.end();
});
