import t from 'tap';
import { accuracyByInstance, differences, type Reference, type Served } from '../../bench/accuracy/compare.js';

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
