import fc from 'fast-check';
import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { byRank, type Waiting } from '../../src/policy/picture.js';
import { type Decision, decide, type View } from '../../src/policy/policy.js';
import { FAMILY, FULL, HALF, instance, predict, QUARTER, THIRD } from '../support/instances.js';

const picture = (facts: Partial<Waiting> = {}): Waiting => ({
  allowed: FAMILY,
  deadlineMs: Number.POSITIVE_INFINITY,
  strict: true,
  late: false,
  arrivalMs: 0,
  ...facts,
});
const view = (facts: Partial<View> = {}): View => ({
  nowMs: 0,
  threads: 1,
  idle: 1,
  capacity: facts.threads ?? 1,
  besidesMs: 0,
  decoding: 0,
  arrivalsPerMs: 0,
  dispersion: 0,
  predict,
  expect: predict,
  cost: predict,
  ...facts,
});
const within = (deadlineMs: number, facts: Partial<Waiting> = {}) => picture({ deadlineMs, ...facts });
const many = (count: number, make: () => Waiting) => Array.from({ length: count }, make);
const shape = ({ run }: Decision<Waiting>) => run && [run.instance.id, run.pictures.length];

t.test('one picture with time: the most accurate instance', (t) => {
  t.same(shape(decide([within(10)], view())), ['full', 1]);
  t.end();
});

t.test('less slack, cheaper instance', (t) => {
  t.same(shape(decide([within(9)], view())), [HALF.id, 1]);
  t.same(shape(decide([within(4)], view())), [THIRD.id, 1]);
  t.same(shape(decide([within(3)], view())), [QUARTER.id, 1]);
  t.end();
});

t.test('a limit holds whatever the slack', (t) => {
  t.same(shape(decide([within(1000, { allowed: [QUARTER] })], view())), [QUARTER.id, 1]);
  t.end();
});

t.test('pictures that wait behind make the head cheaper, before they are late', (t) => {
  const alone = decide([within(20)], view());
  const burst = decide(
    many(10, () => within(20)),
    view(),
  );
  t.same(shape(alone), ['full', 1]);
  t.same(shape(burst), [QUARTER.id, 8]);
  t.end();
});

t.test('what is expected to arrive makes everybody a little cheaper, not some of them the cheapest', (t) => {
  const calm = view();
  t.same(shape(decide([within(100)], { ...calm, arrivalsPerMs: 0.05 })), ['full', 1]);
  t.same(shape(decide([within(100)], { ...calm, arrivalsPerMs: 0.3 })), [HALF.id, 1]);
  t.same(shape(decide([within(100)], { ...calm, arrivalsPerMs: 0.6 })), [THIRD.id, 1]);
  t.same(shape(decide([within(100)], { ...calm, arrivalsPerMs: 9 })), [QUARTER.id, 1], 'never refused for a forecast');
  t.same(shape(decide([within(100)], { ...calm, threads: 2, arrivalsPerMs: 0.2 })), ['full', 1], 'two threads');
  t.end();
});

t.test('a forecast does not touch who has no choice, and their work counts', (t) => {
  t.same(shape(decide([within(100, { allowed: [FULL] })], view({ arrivalsPerMs: 9 }))), ['full', 1]);
  t.same(shape(decide([picture({ allowed: [FULL] })], view({ arrivalsPerMs: 9 }))), ['full', 1]);
  const behind = many(8, () => picture({ allowed: [FULL] }));
  t.same(shape(decide([within(100), ...behind], view())), ['full', 8]);
  t.same(shape(decide([within(100), ...behind], view({ arrivalsPerMs: 0.1 }))), [HALF.id, 1]);
  t.end();
});

t.test('the more unevenly pictures come, the cheaper', (t) => {
  const calm = view({ arrivalsPerMs: 0.05 });
  t.same(shape(decide([within(100)], calm)), ['full', 1]);
  t.same(shape(decide([within(100)], { ...calm, dispersion: 7 })), [HALF.id, 1]);
  t.same(shape(decide([within(100)], { ...calm, dispersion: 2000 })), [QUARTER.id, 1]);
  t.end();
});

t.test('pictures that are being decoded count like those that wait', (t) => {
  t.same(shape(decide([within(100)], view({ decoding: 2 }))), ['full', 1]);
  t.same(shape(decide([within(100)], view({ decoding: 12 }))), [HALF.id, 1]);
  t.same(shape(decide([within(100)], view({ decoding: 100 }))), [QUARTER.id, 1]);
  t.end();
});

t.test('what pictures take besides their networks is no time for networks', (t) => {
  const busy = { arrivalsPerMs: 0.05, capacity: 2 };
  t.same(shape(decide([within(100)], view({ ...busy, besidesMs: 10 }))), ['full', 1], 'there is CPU for both');
  t.same(shape(decide([within(100)], view({ ...busy, besidesMs: 35 }))), [HALF.id, 1]);
  t.same(shape(decide([within(100)], view({ ...busy, besidesMs: 35, decoding: 2 }))), [QUARTER.id, 1]);
  t.end();
});

t.test('under overload the one that takes least CPU, though it was slow of late', (t) => {
  const burst = many(30, () => within(60));
  const slow = view({ predict: (i, n) => (i === QUARTER ? 50 : predict(i, n)) });
  t.same(shape(decide(burst, { ...slow, arrivalsPerMs: 9 })), [QUARTER.id, 8]);
  t.end();
});

t.test('CPU that networks may not take is no time for them', (t) => {
  const arrivals = { arrivalsPerMs: 0.05, threads: 2, idle: 2 };
  t.same(shape(decide([within(100)], view({ ...arrivals, capacity: 2 }))), ['full', 1]);
  t.same(shape(decide([within(100)], view({ ...arrivals, capacity: 0.2 }))), [HALF.id, 1]);
  t.same(shape(decide([within(100)], view({ ...arrivals, capacity: 0 }))), [QUARTER.id, 1]);
  t.end();
});

t.test('what is beaten by taking turns between two others is not chosen to keep pace', (t) => {
  const dull = instance('p05-r500', { flops: 450, top1: 0.861 });
  const allowed = [FULL, HALF, dull, THIRD, QUARTER];
  for (const arrivalsPerMs of [0.3, 0.5, 0.8, 9]) {
    t.not(decide([within(100, { allowed })], view({ arrivalsPerMs })).run?.instance, dull);
  }
  t.equal(decide([within(100, { allowed: [dull] })], view()).run?.instance, dull, 'unless nothing else is allowed');
  const best = instance('p05-r500', { flops: 600, top1: 0.882 });
  const choices = [FULL, best, HALF, THIRD, QUARTER];
  t.equal(decide([within(7, { allowed: choices })], view()).run?.instance, best, 'or only time is short');
  t.end();
});

t.test('batches grow with the queue, in the sizes that are warm', (t) => {
  for (const [waiting, size] of [
    [1, 1],
    [2, 2],
    [3, 2],
    [5, 4],
    [8, 8],
    [20, 8],
  ] as const) {
    t.equal(
      decide(
        many(waiting, () => within(1000)),
        view(),
      ).run?.pictures.length,
      size,
      `${waiting} waiting`,
    );
  }
  t.end();
});

t.test('with two free threads the pictures are shared between them', (t) => {
  t.same(
    shape(
      decide(
        many(4, () => within(1000)),
        view({ threads: 2, idle: 2 }),
      ),
    ),
    ['full', 2],
  );
  t.end();
});

t.test('a batch has one instance that every member allows', (t) => {
  const cheap = picture({ allowed: [QUARTER] });
  const { run } = decide([picture({ allowed: [FULL] }), cheap, picture({ allowed: [FULL] })], view());
  t.equal(run?.instance, FULL);
  t.equal(run?.pictures.length, 2);
  t.notOk(run?.pictures.includes(cheap));
  t.end();
});

t.test('a picture that a batch skips has to be in time after it', (t) => {
  const runMs = predict(FULL, 2);
  const deadlineMs = runMs + predict(QUARTER, 1) - 1;
  const waiting = [within(runMs), within(deadlineMs, { allowed: [QUARTER] }), within(1000)].sort(byRank);
  const { run } = decide(waiting, view());
  t.ok((run?.predictedMs ?? 0) + predict(QUARTER, 1) <= deadlineMs, 'not full x 2');
  t.end();
});

t.test('a batch has one family', (t) => {
  const other = instance('full', { key: 'other/full', family: 'other' });
  const { run } = decide([picture(), picture({ allowed: [other] }), picture()], view());
  t.same(
    run?.pictures.map((w) => w.allowed[0]?.family),
    ['test', 'test'],
  );
  t.end();
});

t.test('what can no longer be in time is not run if strict, and late if not', (t) => {
  const strict = within(2);
  const lax = within(2, { strict: false });
  t.same(decide([strict, lax], view()), { expired: [strict], turnedLate: [lax] });
  t.end();
});

t.test('a late picture runs after all that are in time', (t) => {
  const late = picture({ late: true, strict: false, allowed: [QUARTER], deadlineMs: -5 });
  const waiting = [late, within(50, { arrivalMs: 5 })].sort(byRank);
  t.equal(decide(waiting, view()).run?.pictures[0]?.late, false);
  t.same(shape(decide([late], view())), [QUARTER.id, 1]);
  t.end();
});

t.test('without a deadline a picture gives way, but not for ever', (t) => {
  const patient = picture({ arrivalMs: 0 });
  t.equal([patient, within(900, { arrivalMs: 800 })].sort(byRank)[0]?.deadlineMs, 900);
  t.equal([within(1100, { arrivalMs: 900 }), patient].sort(byRank)[0], patient);
  t.end();
});

const waitingPicture = fc
  .record({
    from: fc.nat(3),
    to: fc.nat(3),
    slack: fc.oneof(fc.integer({ min: -20, max: 200 }), fc.constant(Number.POSITIVE_INFINITY)),
    strict: fc.boolean(),
    late: fc.boolean(),
    arrivalMs: fc.integer({ min: 0, max: 1000 }),
  })
  .map(({ from, to, slack, strict, late, arrivalMs }): Waiting => {
    const allowed: Instance[] = FAMILY.slice(Math.min(from, to), Math.max(from, to) + 1);
    const isLate = late && !strict;
    return { allowed: isLate ? allowed.slice(-1) : allowed, deadlineMs: 1000 + slack, strict, late: isLate, arrivalMs };
  });
const queue = fc.array(waitingPicture, { maxLength: 60 }).map((pictures) => pictures.sort(byRank));
const anyView = fc
  .record({ threads: fc.integer({ min: 1, max: 4 }), idle: fc.integer({ min: 1, max: 4 }) })
  .map(({ threads, idle }) => view({ nowMs: 1000, threads, idle: Math.min(idle, threads) }));

t.test('for any queue', (t) => {
  fc.assert(
    fc.property(queue, anyView, (waiting, view) => {
      const { run, expired, turnedLate } = decide(waiting, view);
      const taken = [...(run?.pictures ?? []), ...expired, ...turnedLate];
      // Nothing is invented or taken twice.
      if (new Set(taken).size !== taken.length || !taken.every((w) => waiting.includes(w))) return false;
      // Expired pictures are strict, and no allowed instance could have finished them.
      for (const w of [...expired, ...turnedLate]) {
        if (w.allowed.some((i) => view.nowMs + predict(i, 1) <= w.deadlineMs)) return false;
      }
      if (!expired.every((w) => w.strict) || !turnedLate.every((w) => !w.strict)) return false;
      // If anything is left, something runs: the head, on an instance all allow, in time for all who can be.
      if (!run) return taken.length === waiting.length;
      const head = waiting.find((w) => !expired.includes(w) && !turnedLate.includes(w));
      return (
        run.pictures[0] === head &&
        [1, 2, 4, 8].includes(run.pictures.length) &&
        run.predictedMs === predict(run.instance, run.pictures.length) &&
        run.pictures.every((w) => w.allowed.includes(run.instance)) &&
        run.pictures.every((w) => w.late || view.nowMs + run.predictedMs <= w.deadlineMs)
      );
    }),
    { numRuns: 2000 },
  );
  t.pass('limits hold, nothing is lost, the head runs');
  t.end();
});

t.test('the same view gives the same decision', (t) => {
  fc.assert(
    fc.property(queue, anyView, (waiting, view) => {
      t.same(decide(waiting, view), decide(waiting, view));
    }),
    { numRuns: 50 },
  );
  t.end();
});
