import t from 'tap';
import { ANSWER_MS, deadlineOf, giveUpOf } from '../../src/scheduler/order.js';

const order = {
  allowed: [],
  startMs: 1000,
  latencyMs: 100,
  strict: true,
  bestEffort: false,
  family: 'x',
  resize: { size: 1, crop: 1, kernel: 'nearest', alpha: 'drop' },
} as const;

t.test('logits are due a moment before the answer is, or never', (t) => {
  t.equal(deadlineOf(order), 1100 - ANSWER_MS);
  t.equal(deadlineOf({ ...order, latencyMs: undefined }), Number.POSITIVE_INFINITY);
  t.end();
});

t.test('a request that is not strict waits for MAX_WAIT_MS, or for its own latency if that is longer', (t) => {
  t.equal(giveUpOf(order, 5000), Number.POSITIVE_INFINITY, 'a strict one has a deadline');
  t.equal(giveUpOf({ ...order, strict: false }, 5000), 6000);
  t.equal(giveUpOf({ ...order, strict: false, latencyMs: 8000 }, 5000), 9000);
  t.equal(giveUpOf({ ...order, strict: false, latencyMs: undefined }, 5000), 6000);
  t.end();
});
