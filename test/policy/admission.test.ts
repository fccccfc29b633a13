import t from 'tap';
import { backlogMs, finishMs, type Load } from '../../src/policy/admission.js';
import type { Waiting } from '../../src/policy/picture.js';
import { FAMILY, FULL, predict, QUARTER } from '../support/instances.js';

const load = (facts: Partial<Load> = {}): Load => ({
  nowMs: 0,
  threads: 1,
  capacity: 1,
  besidesMs: 0,
  lastingPerMs: 0,
  waiting: [],
  expected: [],
  runningUntilMs: [],
  predict,
  expect: predict,
  cost: predict,
  ...facts,
});
const picture = (facts: Partial<Waiting> = {}): Waiting => ({
  allowed: FAMILY,
  deadlineMs: 50,
  strict: true,
  late: false,
  arrivalMs: 0,
  ...facts,
});
const many = (count: number, facts: Partial<Waiting> = {}) => Array.from({ length: count }, () => picture(facts));

t.test('alone: decoding and the fastest run', (t) => {
  t.equal(finishMs(picture(), 1, 0, load()), predict(QUARTER, 1));
  t.equal(finishMs(picture(), 1, 30, load()), 30 + predict(QUARTER, 1));
  t.equal(finishMs(picture({ allowed: [FULL] }), 1, 0, load()), predict(FULL, 1));
  t.end();
});

t.test('who is ahead counts at the best rate of its limits, over all threads', (t) => {
  t.equal(backlogMs(50, load({ waiting: many(8) })), predict(QUARTER, 8));
  t.equal(backlogMs(50, load({ waiting: many(8, { allowed: [FULL] }) })), predict(FULL, 8));
  t.equal(backlogMs(50, load({ waiting: many(8), threads: 2 })), predict(QUARTER, 8) / 2);
  t.equal(backlogMs(49, load({ waiting: many(8) })), 0, 'not who is due later');
  t.equal(backlogMs(50, load({ waiting: many(8, { late: true, strict: false }) })), 0, 'nor who is late');
  const expected = [{ places: 4, workMs: 2, rankMs: 40 }];
  t.equal(backlogMs(50, load({ expected })), 8, 'who is being decoded');
  t.equal(backlogMs(40, load({ expected })), 8, 'of an equal rank too');
  t.equal(backlogMs(39, load({ expected })), 0, 'not who is due later');
  t.equal(backlogMs(50, load({ runningUntilMs: [7] })), 7, 'until the thread is free');
  t.equal(backlogMs(1050, load({ nowMs: 1000, runningUntilMs: [1007] })), 7, 'from now on');
  t.equal(backlogMs(50, load({ runningUntilMs: [7, 3], threads: 2 })), 3, 'until the first one is');
  t.equal(backlogMs(50, load({ runningUntilMs: [7], threads: 2 })), 0, 'another one is');
  t.end();
});

t.test('behind others it runs in a batch with them', (t) => {
  const batch = predict(QUARTER, 2); // here no larger one is faster for each picture
  const behind = finishMs(picture(), 1, 0, load({ waiting: many(16) }));
  t.equal(behind, 2 * predict(QUARTER, 8) + batch, 'the backlog and its own batch');
  const expected = [{ places: 16, workMs: predict(QUARTER, 8) / 8, rankMs: 40 }];
  t.equal(finishMs(picture(), 1, 0, load({ expected })), behind, 'who is being decoded is in it as well');
  const slowStart = load({
    waiting: many(3),
    expect: (i, size) => predict(i, size) + 20,
    predict: (i, size) => predict(i, size) + 20,
  });
  const few = finishMs(picture(), 1, 0, slowStart);
  const many8 = finishMs(picture(), 1, 0, { ...slowStart, waiting: many(8) });
  t.ok(few < many8 - 20, 'with few ahead a part of that');
  t.end();
});

t.test('while more comes than can be served, there is to be time for one more full batch', (t) => {
  const queue = { waiting: many(16) };
  const calm = finishMs(picture(), 1, 0, load(queue));
  const batch = predict(QUARTER, 2); // here no larger one is faster for each picture
  const most = 2 / batch; // pictures in 1/ms
  t.equal(finishMs(picture(), 1, 0, load({ ...queue, lastingPerMs: 0.99 * most })), calm);
  t.equal(finishMs(picture(), 1, 0, load({ ...queue, lastingPerMs: most })), calm + batch);
  const shared = { ...queue, lastingPerMs: 0.5 * most };
  t.equal(finishMs(picture(), 1, 0, load({ ...shared, capacity: 0.5 })), calm + batch, 'others have half of the CPU');
  t.equal(finishMs(picture(), 1, 0, load({ ...shared, besidesMs: batch / 2 })), calm + batch, 'decoding takes as much');
  t.equal(finishMs(picture(), 1, 0, load({ lastingPerMs: most })), predict(QUARTER, 1), 'alone it may try');
  t.end();
});

t.test('a request has to fit with all its pictures', (t) => {
  const one = finishMs(picture(), 1, 0, load());
  const eight = finishMs(picture(), 8, 0, load());
  t.ok(eight >= predict(QUARTER, 8) && eight > one);
  t.ok(finishMs(picture(), 8, 0, load({ threads: 2 })) < eight);
  t.end();
});
