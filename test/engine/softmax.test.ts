import t from 'tap';
import { softmax, topIndices } from '../../src/engine/softmax.js';

t.test('probabilities add up to one and keep the order', (t) => {
  const p = softmax(Float32Array.of(1, 2, 3), 1);
  t.ok(Math.abs(p.reduce((a, b) => a + b, 0) - 1) < 1e-12);
  t.ok(Math.abs((p[2] as number) - 0.6652409) < 1e-6);
  t.end();
});

t.test('extreme logits neither overflow nor vanish', (t) => {
  t.same([...softmax(Float32Array.of(1e30, 0, -1e30), 1)], [1, 0, 0]);
  t.same([...softmax(Float32Array.of(-1e30, -1e30), 1)], [0.5, 0.5]);
  t.same([...softmax(Float32Array.of(5, Number.NEGATIVE_INFINITY), 1)], [1, 0]);
  t.end();
});

t.test('a temperature above one lowers the largest probability', (t) => {
  const [cold, hot] = [softmax(Float32Array.of(0, 2), 1), softmax(Float32Array.of(0, 2), 4)];
  t.ok((hot[1] as number) < (cold[1] as number) && (hot[1] as number) > 0.5);
  t.end();
});

t.test('logits that are not numbers are an error, not a probability', (t) => {
  const wrong = (...logits: number[]) => t.throws(() => softmax(Float32Array.from(logits), 1), RangeError) as Error;
  t.match(wrong(Number.NaN, 1).message, 'NaN');
  t.match(wrong(Number.POSITIVE_INFINITY, 1).message, 'Infinity');
  t.end();
});

t.test('the largest first, equal ones in their order, no more than there are', (t) => {
  t.same(topIndices([0.1, 0.5, 0.1, 0.3], 3), [1, 3, 0]);
  t.same(topIndices([0.5, 0.5], 10), [0, 1]);
  const many = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 5);
  const order = topIndices(many, 1000);
  const wrong = order.slice(1).filter((at, n) => {
    const before = order[n] as number;
    const [value, larger] = [many[at] as number, many[before] as number];
    return value > larger || (value === larger && at < before);
  });
  t.same(wrong, [], 'of a thousand classes too');
  t.end();
});
