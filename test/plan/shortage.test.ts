import fc from 'fast-check';
import t from 'tap';
import { expectedShortage } from '../../src/plan/shortage.js';

t.test('values of the standard normal loss function', (t) => {
  for (const [room, expected] of [
    [0, 0.398942],
    [1, 0.083315],
    [-1, 1.083315],
    [2, 0.008491],
    [-3, 3.000382],
  ] as const)
    t.ok(Math.abs(expectedShortage(0, 1, room) - expected) < 1e-5, `${room}`);
  t.ok(Math.abs(expectedShortage(50, 5, 55) - 5 * 0.083315) < 1e-4, 'moved and scaled');
  t.equal(expectedShortage(50, 0, 40), 10, 'what is certain');
  t.equal(expectedShortage(50, 0, 60), 0);
  t.end();
});

t.test(
  'whatever comes: never less than the mean exceeds, never negative, less with more room, more with more spread',
  (t) => {
    const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });
    fc.assert(
      fc.property(number(0, 500), number(0, 100), number(-500, 1000), number(0, 50), (mean, deviation, room, more) => {
        const shortage = expectedShortage(mean, deviation, room);
        const about = 1e-4 * (1 + deviation + more);
        return (
          Number.isFinite(shortage) &&
          shortage >= Math.max(0, mean - room) - about &&
          expectedShortage(mean, deviation, room + more) <= shortage + about &&
          expectedShortage(mean, deviation + more, room) >= shortage - about
        );
      }),
    );
    t.end();
  },
);
