import t from 'tap';
import { Statistics } from '../../src/telemetry/statistics.js';

const ran = (batchSize: number, inferenceMs: number) => ({ decodeMs: 1, queueMs: 2, inferenceMs, batchSize });

t.test('a run counts once, however many requests had pictures in it', (t) => {
  const a = new Statistics().of('a');
  a.answered([ran(4, 8), ran(4, 8), ran(4, 8)], 20);
  a.answered([ran(1, 3)], 10);
  t.equal(a.runs.get(4)?.count, 0, 'one of its pictures is not answered yet');
  a.answered([ran(4, 8)], 30);
  t.same(
    [...a.runs].map(([size, { count, ms }]) => [size, count, ms]),
    [
      [1, 1, 3],
      [4, 1, 8],
    ],
  );
  t.match(a, {
    pictures: 5,
    success: { count: 3, ms: 60 },
    fail: { count: 0, ms: 0 },
    decode: { count: 5, ms: 5 },
    queue: { count: 5, ms: 10 },
    infer: { count: 5, ms: 35 },
  });
  t.end();
});

t.test('runs of every size count as whole ones', (t) => {
  const a = new Statistics().of('a');
  for (let size = 1; size <= 64; size++) a.answered(Array(size).fill(ran(size, 1)), 1);
  t.ok([...a.runs.values()].every(({ count, ms }) => count === 1 && ms === 1));
  t.equal(a.runs.size, 64);
  t.end();
});

t.test('each model has its own; what failed is counted apart', (t) => {
  const statistics = new Statistics();
  const beforeMs = Date.now();
  statistics.of('a').failed(7);
  t.match(statistics.of('a'), { pictures: 0, success: { count: 0 }, fail: { count: 1, ms: 7 } });
  t.ok(statistics.of('a').lastMs >= beforeMs);
  t.match(statistics.of('b'), { lastMs: 0, pictures: 0, fail: { count: 0 } });
  t.end();
});
