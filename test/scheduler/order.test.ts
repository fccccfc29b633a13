import t from 'tap';
import { lastDueMs } from '../../src/scheduler/order.js';

t.test('the last of those being decoded is due when the latest finite deadline of one with places left is', (t) => {
  const one = (deadlineMs: number, places = 1) => ({ places, deadlineMs, workMs: 1, rankMs: deadlineMs });
  t.equal(lastDueMs([]), Number.NEGATIVE_INFINITY);
  t.equal(lastDueMs([one(50), one(80), one(60)]), 80);
  t.equal(lastDueMs([one(50), one(80, 0)]), 50, 'not who is decoded');
  t.equal(lastDueMs([one(50), one(Number.POSITIVE_INFINITY)]), 50, 'nor who has no deadline');
  t.end();
});
