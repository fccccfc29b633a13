import t from 'tap';
import { ANSWER_MS, deadlineOf, giveUpOf, lastDueMs, rankOfOrder } from '../../src/scheduler/order.js';

t.test('the last of those being decoded is due when the latest finite deadline of one with places left is', (t) => {
  const one = (deadlineMs: number, places = 1) => ({ places, deadlineMs, workMs: 1, rankMs: deadlineMs });
  t.equal(lastDueMs([]), Number.NEGATIVE_INFINITY);
  t.equal(lastDueMs([one(50), one(80), one(60)]), 80);
  t.equal(lastDueMs([one(50), one(80, 0)]), 50, 'not who is decoded');
  t.equal(lastDueMs([one(50), one(Number.POSITIVE_INFINITY)]), 50, 'nor who has no deadline');
  t.end();
});

const order = { allowed: [], startMs: 1000, latencyMs: 100, strict: true, late: false } as const;

t.test('logits are due a moment before the answer is, or never', (t) => {
  t.equal(deadlineOf(order), 1100 - ANSWER_MS);
  t.equal(deadlineOf({ ...order, latencyMs: undefined }), Number.POSITIVE_INFINITY);
  t.equal(rankOfOrder(order, 1000), 1100 - ANSWER_MS, 'by deadline');
  t.equal(rankOfOrder({ ...order, late: true }, 1000), Number.POSITIVE_INFINITY, 'late ones after all others');
  const patient = { ...order, latencyMs: undefined };
  t.equal(rankOfOrder(patient, 1300) - rankOfOrder(patient, 1000), 300, 'without a deadline by arrival');
  t.end();
});

t.test('what is not strict waits so long and no longer, or its own latency', (t) => {
  t.equal(giveUpOf(order, 5000), Number.POSITIVE_INFINITY, 'a strict one has a deadline');
  t.equal(giveUpOf({ ...order, strict: false }, 5000), 6000);
  t.equal(giveUpOf({ ...order, strict: false, latencyMs: 8000 }, 5000), 9000);
  t.equal(giveUpOf({ ...order, strict: false, latencyMs: undefined }, 5000), 6000);
  t.end();
});
