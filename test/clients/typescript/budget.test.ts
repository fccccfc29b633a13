/** The header that the client writes is what the service's own parser reads. */
import fc from 'fast-check';
import t from 'tap';
import { type Budget, budgetHeader } from '../../../clients/typescript/src/index.js';
import { parseBudget } from '../../../src/router/budget.js';

const CASES: [budget: Budget, header: string][] = [
  [{}, ''],
  [{ cost: 0.5 }, 'cost=0.5'],
  [{ cost: 1 }, 'cost=1'],
  [{ flops: 200_000_000 }, 'flops=200000000'],
  [{ latency: 25 }, 'latency=25'],
  [{ latency: 2.5, cost: 0.29, accuracy: 0.93, strict: false }, 'latency=2.5, cost=0.29, accuracy=0.93, strict=?0'],
  [{ strict: true }, 'strict'],
];

for (const [budget, header] of CASES) {
  t.test(`${JSON.stringify(budget)} is written as ${JSON.stringify(header)}`, (t) => {
    t.equal(budgetHeader(budget), header);
    t.same(parseBudget(header), { strict: true, ...budget }, 'and read as that');
    t.end();
  });
}

t.test('a limit with more digits than the header carries is rounded so that it still holds', (t) => {
  t.equal(budgetHeader({ cost: 2 / 3 }), 'cost=0.666');
  t.equal(budgetHeader({ cost: 0.9999 }), 'cost=0.999');
  t.equal(budgetHeader({ latency: 33.3339 }), 'latency=33.333');
  t.equal(budgetHeader({ flops: 1e9 / 3 }), 'flops=333333333');
  t.equal(budgetHeader({ accuracy: 2 / 3 }), 'accuracy=0.667');
  t.equal(budgetHeader({ accuracy: 0.9999 }), 'accuracy=1');
  t.end();
});

t.test('every budget arrives as it was meant, to the digits that the header carries', (t) => {
  const share = fc.double({ min: 0.001, max: 1, noNaN: true });
  const budgets = fc.record<Budget>(
    {
      flops: fc.double({ min: 1, max: 1e14, noNaN: true }),
      cost: share,
      latency: fc.double({ min: 0.001, max: 3_600_000, noNaN: true }),
      accuracy: share,
      strict: fc.boolean(),
    },
    { requiredKeys: [] },
  );
  // Far below a digit of the header: scaling by a thousand is not exact.
  const tiny = 1e-9;
  const within = (sent: number | undefined, asked: number | undefined, step: number, upper: boolean) => {
    if (sent === undefined || asked === undefined) return sent === asked;
    const spare = upper ? asked - sent : sent - asked;
    return spare >= -tiny && spare < step + tiny;
  };
  fc.assert(
    fc.property(budgets, (budget) => {
      const sent = parseBudget(budgetHeader(budget));
      return (
        within(sent.flops, budget.flops, 1, true) &&
        within(sent.cost, budget.cost, 0.001, true) &&
        within(sent.latency, budget.latency, 0.001, true) &&
        within(sent.accuracy, budget.accuracy, 0.001, false) &&
        sent.strict === (budget.strict ?? true)
      );
    }),
  );
  t.end();
});

t.test('a member that is undefined is left out', (t) => {
  t.equal(budgetHeader({ cost: 0.5, latency: undefined } as unknown as Budget), 'cost=0.5');
  t.end();
});

t.test('what would be sent as something else is refused', (t) => {
  const refused = (budget: object, kind: new () => Error, says: RegExp) => {
    const error = t.throws(() => budgetHeader(budget as Budget)) as unknown as Error;
    t.ok(error instanceof kind, JSON.stringify(budget));
    t.match(error.message, says);
  };
  refused({ costs: 0.5 }, TypeError, /no costs; expected flops, cost, latency, accuracy or strict/);
  refused({ toString: 1 }, TypeError, /no toString/);
  refused({ cost: '0.5' }, TypeError, /budget.cost is 0.5; expected a finite number/);
  refused({ cost: Number.NaN }, TypeError, /NaN/);
  refused({ latency: Number.POSITIVE_INFINITY }, TypeError, /Infinity/);
  refused({ strict: 'false' }, TypeError, /true or false/);
  refused({ cost: 0.0004 }, RangeError, /at least 0.001/);
  refused({ flops: 0.5 }, RangeError, /at least 1$/);
  refused({ latency: 0 }, RangeError, /at least 0.001/);
  refused({ accuracy: -0.5 }, RangeError, /at least 0.001/);
  refused({ flops: 1e15 }, Error, /999,999,999,999,999/);
  t.end();
});
