/** Lookup of families and instances by name. */
import t, { type Test } from 'tap';
import type { DimmerError } from '../../src/errors.js';
import { type Family, fullInstance, type Instance } from '../../src/family/instance.js';
import { Catalog, ServedFamily } from '../../src/family/served.js';
import { FAMILY, FULL, HALF, instance, QUARTER, THIRD } from '../support/instances.js';

const FAMILY_FACTS: Omit<Family, 'name' | 'instances'> = {
  folder: '',
  description: '',
  architecture: '',
  version: '',
  height: 4,
  width: 5,
  resize: { size: 5, crop: 5, kernel: 'cubic', alpha: 'white' },
  labels: ['a', 'b'],
  measuredOn: { dataset: '', part: '', scope: '', runtime: '' },
  license: '',
  source: '',
};
const served = (name = 'test', resident?: readonly Instance[]) =>
  new ServedFamily({
    family: { ...FAMILY_FACTS, name, instances: FAMILY },
    frontier: [FULL, HALF],
    ...(resident && { resident: new Set(resident.map((i) => i.key)) }),
  });

/** The DimmerError that a call throws. */
function refusal(t: Test, call: () => unknown): DimmerError {
  return t.throws(call, { name: 'DimmerError' }) as DimmerError;
}

t.test('the served instances are the resident ones of the frontier', (t) => {
  const [all, few] = [served(), served('test', [FULL, THIRD])];
  t.same(all.instances, [FULL, HALF]);
  t.same(few.instances, [FULL]);
  for (const family of [all, few]) {
    t.equal(family.full, FULL);
    t.ok(family.onFrontier(HALF) && !family.onFrontier(THIRD), 'what is resident does not change the frontier');
  }
  t.ok(all.serves(HALF) && !all.serves(THIRD) && all.resident(THIRD));
  t.ok(few.serves(FULL) && !few.serves(HALF) && !few.resident(HALF) && few.resident(THIRD));
  t.end();
});

t.test('any instance can be found by its id; the error for an unknown id lists all instances', (t) => {
  for (const family of [served(), served('test', [FULL])]) for (const i of FAMILY) t.equal(family.instance(i.id), i);
  const ids = FAMILY.map((i) => i.id);
  const { code, facts } = refusal(t, () => served().instance('p09-r500'));
  t.equal(code, 'unknown-instance');
  t.equal(facts.expected, `one of ${ids.join(', ')}`);
  t.same(facts.members, { instances: ids });
  t.match(facts, { detail: /^test has no instance p09-r500$/, action: 'GET /models' });
  t.end();
});

t.test('an int8 instance that this processor computes wrongly is refused with that reason', (t) => {
  const family = new ServedFamily({
    family: { ...FAMILY_FACTS, name: 'test', instances: FAMILY },
    frontier: FAMILY,
    absent: new Map([['full-i8', 'the processor of this host computes it wrongly']]),
  });
  const { code, facts } = refusal(t, () => family.instance('full-i8'));
  t.equal(code, 'unknown-instance');
  t.match(facts.detail, /processor of this host computes it wrongly/);
  t.match(
    refusal(t, () => family.instance('p01-r500-i8')).facts.detail,
    /has no instance/,
    'of another nothing is known',
  );
  t.end();
});

t.test('the default family: the one that is set, one alone, or the one for photographs', (t) => {
  const of = (names: string[], set?: string) =>
    new Catalog(
      names.map((n) => served(n)),
      set,
    ).default;
  t.equal(of(['a']), 'a');
  t.equal(of(['a', 'b']), undefined);
  t.equal(of(['a', 'b'], 'b'), 'b');
  t.equal(of(['a', 'imagenet1k', 'b']), 'imagenet1k');
  t.equal(of(['a', 'imagenet1k'], 'a'), 'a');
  t.equal(of([]), undefined);
  t.end();
});

t.test('a family is found by its name; the error for an unknown or missing name lists all families', (t) => {
  const catalog = new Catalog([served('a'), served('b')], undefined);
  t.same(catalog.names, ['a', 'b']);
  t.equal(catalog.family('b'), catalog.families[1]);
  t.equal(new Catalog(catalog.families, 'b').family(undefined), catalog.families[1]);
  const [unknown, unnamed] = [refusal(t, () => catalog.family('c')), refusal(t, () => catalog.family(undefined))];
  t.equal(unknown.code, 'unknown-model');
  t.match(unknown.facts, { detail: /\bc$/, expected: /^one of a, b$/, action: 'GET /models' });
  t.equal(unnamed.code, 'invalid-request');
  t.match(unnamed.facts, { detail: 'names no model', expected: 'model=<one of a, b>', action: 'DEFAULT_MODEL' });
  for (const { facts } of [unknown, unnamed]) t.same(facts.members, { models: ['a', 'b'] });
  t.end();
});

t.test('full is the float32 instance that pools nowhere', (t) => {
  const int8 = instance('full-i8', { p: 0, precision: 'int8' });
  t.equal(fullInstance([QUARTER, int8, FULL]), FULL);
  t.throws(() => fullInstance([QUARTER, int8]), /without `full`/);
  t.end();
});
