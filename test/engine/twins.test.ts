import t from 'tap';
import { badTwins, forDevice, goldenPicture, relativeDifference, withoutBadTwins } from '../../src/engine/twins.js';
import type { Family } from '../../src/family/instance.js';
import { FULL, HALF, instance, QUARTER } from '../support/instances.js';

const twinOf = (i: typeof FULL) =>
  instance(`${i.id}-i8`, { ...i, id: `${i.id}-i8`, key: `${i.key}-i8`, precision: 'int8' });
const family = (instances: Family['instances']): Family => ({
  name: 'test',
  folder: 'test',
  description: '',
  architecture: '',
  version: '',
  height: 4,
  width: 5,
  resize: { size: 5, crop: 5, kernel: 'cubic', alpha: 'white' },
  labels: ['a', 'b'],
  instances,
  measuredOn: { dataset: '', part: '', scope: '', runtime: '' },
  license: '',
  source: '',
});
const EXACT = Float32Array.of(1, -1, 2, -2, 3, -3);

t.test('a twin whose logits are close to those of its instance is good; others are named', async (t) => {
  const logits: Record<string, Float32Array> = {
    'test/full': EXACT,
    'test/full-i8': EXACT.map((v) => v * 1.1),
    'test/p03-r500': EXACT,
    'test/p03-r500-i8': EXACT.map((v) => -v),
  };
  const sizes: number[] = [];
  const run = async ({ key, size, images }: { key: string; size: number; images: ArrayBuffer }) => {
    sizes.push(images.byteLength / size);
    return logits[key] as Float32Array;
  };
  const all = [FULL, HALF, twinOf(FULL), twinOf(HALF)];
  const bad = await badTwins(family(all), run);
  t.same(
    bad.map((b) => [b.twin, b.difference > 1]),
    [['test/p03-r500-i8', true]],
  );
  const told: string[] = [];
  const good = await withoutBadTwins({ family: family(all), absent: new Map() }, run, (b) => told.push(b.twin));
  t.same(told, ['test/p03-r500-i8']);
  t.same([...good.absent.keys()], ['p03-r500-i8']);
  t.same(good.family.instances, all.slice(0, 3), 'the others stay');
  t.ok(sizes.length === 8 && sizes.every((bytes) => bytes === 4 * 5 * 3));
});

t.test('for a GPU all int8 instances are removed', (t) => {
  const all = [FULL, HALF, twinOf(FULL), twinOf(HALF)];
  const onGpu = forDevice(family(all), 'cuda');
  t.same(onGpu.family.instances, [FULL, HALF]);
  t.same([...onGpu.absent.keys()], ['full-i8', 'p03-r500-i8']);
  t.same(forDevice(family(all), 'cpu'), { family: family(all), absent: new Map() });
  t.end();
});

t.test('a twin is compared with the instance of its own network', async (t) => {
  const other = instance('b-full', { network: 'b', p: 0, r: 1 });
  const logits: Record<string, Float32Array> = {
    'test/full': EXACT,
    'test/full-i8': EXACT,
    'test/b-full': EXACT.map((v) => -v),
    'test/b-full-i8': EXACT.map((v) => -v),
  };
  const run = async ({ key }: { key: string }) => logits[key] as Float32Array;
  t.same(await badTwins(family([FULL, twinOf(FULL), twinOf(other), other]), run), []);
});

t.test('a twin is compared with the instance of its own point and ratio', async (t) => {
  const r750 = instance('p03-r750', { p: 3, r: 0.75 });
  const all = [QUARTER, r750, HALF, twinOf(HALF), twinOf(r750), twinOf(QUARTER)];
  const run = async ({ key }: { key: string }) =>
    EXACT.map((v, n) => v * ((all.findIndex((i) => key.startsWith(i.key)) + n) % 3));
  t.same(await badTwins(family(all), run), []);
});

t.test('a difference of up to a fifth of the spread of the logits is good, more is not', async (t) => {
  const differing = (by: number) =>
    badTwins(family([FULL, twinOf(FULL)]), async ({ key }) => {
      const [low, high] = key.endsWith('i8') ? [-5 + by, 5 + by] : [-5, 5];
      return Float32Array.of(low, high);
    });
  t.same(await differing(1), []);
  t.match(await differing(1.01), [{ twin: 'test/full-i8', difference: Number }]);
});

t.test('logits that are no numbers are bad', async (t) => {
  const run = async ({ key }: { key: string }) => (key.endsWith('i8') ? EXACT.map(() => Number.NaN) : EXACT);
  t.equal((await badTwins(family([FULL, twinOf(FULL)]), run)).length, 1);
});

t.test('a twin without its instance has nothing to be compared with, and float32 alone is not run', async (t) => {
  const never = async () => {
    throw new Error('was run');
  };
  t.same(await badTwins(family([FULL, twinOf(HALF)]), never), []);
});

t.test('differences are measured as shares of the spread of the logits', (t) => {
  t.equal(relativeDifference(Float32Array.of(-1, 1), Float32Array.of(-1, 1)), 0);
  t.equal(relativeDifference(Float32Array.of(4, 6), Float32Array.of(5, 7)), 1);
  t.end();
});

t.test('golden pictures are those of the formula', (t) => {
  const picture = goldenPicture(3, 4, 2);
  t.equal(picture.length, 36);
  t.same([...picture.slice(0, 6)], [26, 33, 40, 57, 64, 71], 'two pixels of the first row');
  t.same([...picture.slice(-3)], [153, 160, 167], 'the last pixel');
  t.equal(goldenPicture(1, 9, 0)[8 * 3 + 2], (31 * 8 + 14) % 256, 'modulo 256');
  t.end();
});
