import t from 'tap';
import { accuracyByInstance, differences, type Reference, type Served } from '../../bench/accuracy/compare.js';
import { unpack } from '../../bench/accuracy/reference.js';

const served = (file: string, label: number, predicted: number, instance = 'full'): Served => ({
  file,
  label,
  instance,
  predicted,
});

const reference: Reference = {
  model: 'm',
  modelVersion: 'v',
  files: ['a', 'b', 'c'],
  labels: [0, 1, 2],
  instances: { full: { predicted: [0, 1, 2], margins: [5, 0.0004, 0.3] } },
};

t.test('accuracy is counted for each instance that answered', async (t) => {
  const all = [served('a', 0, 0), served('b', 1, 2), served('c', 1, 1), served('a', 1, 0, 'p01-r500')];
  t.same(accuracyByInstance(all), [
    { instance: 'full', n: 3, correct: 2, top1: 2 / 3 },
    { instance: 'p01-r500', n: 1, correct: 0, top1: 0 },
  ]);
});

t.test('answers that equal the reference are no difference, also where both are wrong', async (t) => {
  t.same(differences([served('c', 0, 2), served('a', 0, 0)], reference), []);
});

t.test('a difference is a near tie only below the margin', async (t) => {
  t.same(differences([served('b', 1, 0), served('c', 2, 1)], reference), [
    { file: 'b', instance: 'full', served: 0, expected: 1, margin: 0.0004, nearTie: true },
    { file: 'c', instance: 'full', served: 1, expected: 2, margin: 0.3, nearTie: false },
  ]);
});

t.test('what the reference does not know is an error, not agreement', async (t) => {
  t.throws(() => differences([served('d', 0, 0)], reference), /no full for d/);
  t.throws(() => differences([served('a', 0, 0, 'p01-r500')], reference), /no p01-r500 for a/);
});

t.test('a reference is kept small: what is not written is right, and not nearly a tie', async (t) => {
  const unpacked = unpack({
    model: 'm',
    modelVersion: 'v',
    folders: [
      { folder: 'test/cat', label: 3, files: ['1.png', '2.png'] },
      { folder: 'test/dog', label: 5, files: ['1.png'] },
    ],
    instances: { full: { wrong: { 1: 5 }, margins: { 1: 0.0004 } }, 'p01-r500': { wrong: {}, margins: { 2: 0 } } },
  });
  t.same(unpacked, {
    model: 'm',
    modelVersion: 'v',
    files: ['test/cat/1.png', 'test/cat/2.png', 'test/dog/1.png'],
    labels: [3, 3, 5],
    instances: {
      full: { predicted: [3, 5, 5], margins: [undefined, 0.0004, undefined] },
      'p01-r500': { predicted: [3, 3, 5], margins: [undefined, undefined, 0] },
    },
  });
  t.same(differences([served('test/dog/1.png', 5, 3), served('test/cat/2.png', 3, 3)], unpacked), [
    { file: 'test/dog/1.png', instance: 'full', served: 3, expected: 5, margin: null, nearTie: false },
    { file: 'test/cat/2.png', instance: 'full', served: 3, expected: 5, margin: 0.0004, nearTie: true },
  ]);
});
