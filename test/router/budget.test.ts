import t from 'tap';
import { DimmerError } from '../../src/errors.js';
import { parseBudget } from '../../src/router/budget.js';

t.test('every member is read', (t) => {
  t.same(parseBudget('flops=200000000'), { flops: 200000000, strict: true });
  t.same(parseBudget('cost=0.5'), { cost: 0.5, strict: true });
  t.same(parseBudget('cost=1'), { cost: 1, strict: true });
  t.same(parseBudget('latency=25'), { latency: 25, strict: true });
  t.same(parseBudget('latency=2.5'), { latency: 2.5, strict: true });
  t.same(parseBudget('accuracy=0.93'), { accuracy: 0.93, strict: true });
  t.same(parseBudget('latency=25, cost=0.5, strict=?0'), { latency: 25, cost: 0.5, strict: false });
  t.same(parseBudget('cost=0.5, strict'), { cost: 0.5, strict: true });
  t.same(parseBudget(''), { strict: true }, 'the empty budget');
  t.end();
});

t.test('a member given twice has its last value, as RFC 9651 says', (t) => {
  t.same(parseBudget('cost=0.5, cost=0.4'), { cost: 0.4, strict: true });
  t.end();
});

const WRONG: [text: string, names: string][] = [
  ['flops=0', 'flops'],
  ['flops=-5', 'flops'],
  ['flops=1.5', 'flops'],
  ['flops="200000000"', 'flops'],
  ['cost=0', 'cost'],
  ['cost=1.001', 'cost'],
  ['cost=-0.5', 'cost'],
  ['cost', 'cost'],
  ['cost=(0.5 0.6)', 'cost'],
  ['cost=0.5;soft', 'cost'],
  ['latency=0', 'latency'],
  ['latency=3600001', 'latency'],
  ['latency=@1700000000', 'latency'],
  ['accuracy=1.5', 'accuracy'],
  ['accuracy=high', 'accuracy'],
  ['strict=0', 'strict'],
  ['speed=5', 'speed'],
  ['constructor=1', 'constructor'],
  ['cost=0.1234', 'dictionary'],
  ['cost=0.5,', 'dictionary'],
  ['cost=1e-1', 'dictionary'],
  ['COST=0.5', 'dictionary'],
  ['{"cost":0.5}', 'dictionary'],
  ['cost=\u00bd', 'dictionary'],
];

for (const [text, names] of WRONG) {
  t.test(`${JSON.stringify(text)} is refused`, (t) => {
    const error = t.throws(() => parseBudget(text)) as DimmerError;
    t.ok(error instanceof DimmerError);
    t.equal(error.code, 'invalid-budget');
    t.match(error.facts.detail, names, 'says which member');
    t.ok(error.facts.expected && error.facts.action, 'says what is expected and what to do');
    t.end();
  });
}

t.test('what was given is said in words, and what there is', (t) => {
  for (const [text, given] of [
    ['cost=1.5', 'cost is 1.5'],
    ['cost=(0.5 0.6)', 'cost is an inner list'],
    ['latency=@1700000000', 'latency is a date'],
    ['cost', 'cost is a boolean (a member without a value is true)'],
    ['cost=?0', 'cost is a boolean'],
    ['accuracy=high', 'accuracy is text or binary'],
    ['flops="2"', 'flops is text or binary'],
    ['cost=:AAAA:', 'cost is text or binary'],
  ] as const) {
    const { facts } = t.throws(() => parseBudget(text)) as DimmerError;
    t.equal(facts.detail, `Inference-Budget member ${given}`);
  }
  const { facts } = t.throws(() => parseBudget('speed=5')) as DimmerError;
  t.equal(facts.expected, 'members flops, cost, latency, accuracy, strict');
  t.end();
});
