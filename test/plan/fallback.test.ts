import t from 'tap';
import { cheapestOf, simpleNext } from '../../src/plan/fallback.js';
import { FAMILY, instance, QUARTER } from '../support/instances.js';
import { snapshot, waiting } from '../support/snapshot.js';

t.test('the cheapest has the fewest FLOPs, whatever the order; of equal ones the first', (t) => {
  const twin = instance('p01-r500-i8', { flops: QUARTER.flops });
  t.equal(cheapestOf(FAMILY), QUARTER);
  t.equal(cheapestOf([...FAMILY].reverse()), QUARTER);
  t.equal(cheapestOf([QUARTER, twin]), QUARTER);
  t.end();
});

t.test('drops expired pictures, then runs the first alone, then decodes the first, then waits', (t) => {
  const over = waiting({ deadlineMs: 10 });
  const lenient = waiting({ deadlineMs: 10, strict: false });
  const next = waiting({ deadlineMs: 11 });
  const encoded = waiting({ stage: 'encoded', deadlineMs: 12 });
  const long = waiting({ stage: 'encoded', long: true, deadlineMs: 11 });
  const bestEffort = waiting({ deadlineMs: 5, bestEffort: true, strict: false });
  const now = { nowMs: 10 };
  t.same(simpleNext(snapshot([over, lenient, next], now)), { type: 'drop', pictures: [over, lenient] });
  t.same(simpleNext(snapshot([encoded, next, bestEffort], now)), { type: 'run', instance: QUARTER, pictures: [next] });
  t.same(simpleNext(snapshot([bestEffort], now)), { type: 'run', instance: QUARTER, pictures: [bestEffort] });
  t.same(simpleNext(snapshot([next, encoded], { ...now, idleThreads: 0 })), { type: 'decode', picture: encoded });
  const places = { short: 1, long: 0 };
  t.same(simpleNext(snapshot([long, encoded], { ...now, decodePlaces: places })), { type: 'decode', picture: encoded });
  const wait = { type: 'wait', untilMs: Number.POSITIVE_INFINITY };
  t.same(simpleNext(snapshot([long], { ...now, decodePlaces: places })), wait);
  t.same(simpleNext(snapshot([next], { ...now, idleThreads: 0 })), wait);
  t.end();
});
