import t from 'tap';
import { checkDefaultBudget, readDefaultBudget } from '../src/default-budget.js';
import type { Family } from '../src/family/instance.js';
import { ServedFamily } from '../src/family/served.js';
import { createLogger } from '../src/telemetry/logger.js';
import { FAMILY, FULL, HALF } from './support/instances.js';

const served = (name: string, instances = FAMILY) =>
  new ServedFamily({ family: { name, instances } as unknown as Family, frontier: instances });

function check(text: string, families = [served('test')], idleMs = 10) {
  const warnings: unknown[] = [];
  const logger = Object.assign(createLogger('silent'), { warn: (facts: unknown) => warnings.push(facts) });
  checkDefaultBudget(text, families, () => idleMs, logger);
  return warnings;
}

t.test('a default budget that no instance can meet ends the start, with the nearest feasible values', (t) => {
  t.throws(() => check('cost=0.001'), { name: 'StartError', message: /DEFAULT_BUDGET=cost=0.001: test .*cost=0\.25/ });
  t.throws(() => check('flops=1'), { name: 'StartError', message: /flops=250/ });
  t.throws(() => check('accuracy=0.99'), { name: 'StartError', message: /accuracy=0\.9/ });
  t.throws(() => check('cost=0.3, accuracy=0.9, latency=1000'), { name: 'StartError' }, 'together');
  t.end();
});

t.test('a default budget must be feasible for every family', (t) => {
  const families = [served('test'), served('large', [FULL, HALF])];
  t.throws(() => check('cost=0.3', families), { name: 'StartError', message: /large .*cost=0\.5/ });
  t.same(check('cost=0.5', families), []);
  t.end();
});

t.test('a latency that this host cannot meet is a warning', (t) => {
  t.same(check('latency=50'), []);
  t.match(check('latency=5'), [{ defaultBudget: 'latency=5', model: 'test', expected: /latency=10/ }]);
  t.match(check('latency=5, cost=0.5'), [{ expected: /latency=10/ }]);
  t.end();
});

t.test('a default budget with strict=?0 is never refused, and neither is an empty one', (t) => {
  t.same(check('cost=0.001, latency=1, strict=?0'), []);
  t.same(check(''), []);
  t.end();
});

t.test('an invalid default budget ends the start', (t) => {
  t.throws(() => readDefaultBudget('cost=5'), {
    name: 'StartError',
    message: /DEFAULT_BUDGET=cost=5: .*expected a share/,
  });
  t.end();
});
