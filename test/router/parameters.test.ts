import t from 'tap';
import type { DimmerError } from '../../src/errors.js';
import { parseBudget } from '../../src/router/budget.js';
import { budgetOf, type Parameters } from '../../src/router/parameters.js';

const STANDARD = parseBudget('latency=250, strict=?0');
const of = (parameters: Parameters, text?: string) => budgetOf(text, parameters, STANDARD);

t.test('a header, parameters, or the standard', (t) => {
  t.same(of({}), STANDARD);
  t.same(of({ priority: 1, mine: 'x' }), STANDARD, 'what is not ours is let be');
  t.same(of({}, 'cost=0.5'), { cost: 0.5, strict: true });
  t.same(of({}, ''), { strict: true });
  t.same(
    of({ budget_flops: 5, budget_cost: 0.1234, budget_latency_ms: 2.5, budget_accuracy: 0.9, budget_strict: false }),
    { flops: 5, cost: 0.1234, latency: 2.5, accuracy: 0.9, strict: false },
    'with as many digits as they have',
  );
  t.same(of({ budget_strict: true }), { strict: true });
  t.end();
});

t.test('the smallest latency holds', (t) => {
  t.same(of({ timeout: 100_000 }), { latency: 100, strict: false });
  t.same(of({ timeout: 300_000 }), STANDARD);
  t.same(of({ timeout: 0 }), STANDARD);
  t.same(of({ timeout: 100_000, budget_cost: 0.5 }), { cost: 0.5, latency: 100, strict: true });
  t.same(of({ timeout: 100_000, budget_latency_ms: 50 }), { latency: 50, strict: true });
  t.same(of({ timeout: 1 }, 'latency=5'), { latency: 0.001, strict: true });
  t.same(of({ timeout: 3_600_000_000 }, ''), { latency: 3_600_000, strict: true });
  t.end();
});

t.test('a deadline is one more latency', (t) => {
  const until = (deadlineMs: number | undefined, parameters: Parameters = {}, text?: string) =>
    budgetOf(text, parameters, STANDARD, deadlineMs);
  t.same(until(100), { latency: 100, strict: false });
  t.same(until(300), STANDARD);
  t.same(until(undefined), STANDARD);
  t.same(until(100, {}, 'cost=0.5'), { cost: 0.5, latency: 100, strict: true });
  t.same(until(100, { budget_latency_ms: 200 }), { latency: 100, strict: true });
  t.same(until(200, { budget_latency_ms: 100 }), { latency: 100, strict: true });
  t.same(until(200, { timeout: 100_000, budget_cost: 1 }), { cost: 1, latency: 100, strict: true });
  t.same(until(3_600_001, {}, ''), { strict: true }, 'beyond the longest latency it is no limit');
  t.end();
});

t.test('refused: says which parameter, and what is expected', (t) => {
  const wrong: [Parameters, string, RegExp][] = [
    [{ budget_cost: 0 }, 'parameter budget_cost is 0', /share in \(0, 1\]/],
    [{ budget_cost: 1.1 }, 'parameter budget_cost is 1.1', /share/],
    [{ budget_flops: 0.5 }, 'parameter budget_flops is 0.5', /whole number/],
    [{ budget_latency_ms: 3_600_001 }, 'parameter budget_latency_ms is 3600001', /milliseconds/],
    [{ budget_accuracy: true }, 'parameter budget_accuracy is a boolean', /fraction/],
    [{ budget_strict: 'false' }, 'parameter budget_strict is text', /^true or false$/],
    [{ budget_speed: 1 }, 'there is no parameter budget_speed', /budget_latency_ms/],
    [{ budget_toString: 1 }, 'there is no parameter budget_toString', /budget_flops/],
    [{ timeout: -1 }, 'parameter timeout', /microseconds/],
    [{ timeout: 0.5 }, 'parameter timeout', /microseconds/],
    [{ timeout: 3_600_000_001 }, 'parameter timeout', /microseconds/],
    [{ timeout: '1' }, 'parameter timeout', /microseconds/],
    [{ timeout: true }, 'parameter timeout', /microseconds/],
  ];
  for (const [parameters, detail, expected] of wrong) {
    const error = t.throws(() => of(parameters)) as unknown as DimmerError;
    t.equal(error.code, 'invalid-budget');
    t.match(error.facts, { detail, expected, action: 'correct the parameter or leave it out' });
  }
  const both = t.throws(() => of({ budget_cost: 0.5 }, 'cost=0.5')) as unknown as DimmerError;
  t.match(both.facts, { detail: 'parameter budget_cost', action: 'leave out the header or the parameters' });
  t.throws(() => of({ budget_cost: 0.5 }, ''), { code: 'invalid-budget' }, 'an empty header is a budget, too');
  t.end();
});
