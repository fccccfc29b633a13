import fc from 'fast-check';
import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { byRank, type Waiting } from '../../src/policy/picture.js';
import { type Decision, decide, type Run, type View } from '../../src/policy/policy.js';
import { FAMILY, FULL, HALF, instance, predict, QUARTER, THIRD } from '../support/instances.js';
import { viewsWith } from '../support/view.js';

const picture = (facts: Partial<Waiting> = {}): Waiting => ({
  allowed: FAMILY,
  deadlineMs: Number.POSITIVE_INFINITY,
  strict: true,
  late: false,
  arrivalMs: 0,
  ...facts,
});
const view = viewsWith(predict);
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

/** Cost of the instance that four pictures get, for each value of one fact. */
const costs = <K extends keyof View>(fact: K, values: readonly View[K][], base: Partial<View> = {}) =>
  values.map((value) => {
    const four = many(4, () => within(100));
    return decide(four, view({ ...base, [fact]: value })).run?.instance.share ?? Number.NaN;
  });
const falls = (values: readonly number[]) => values.every((v, n) => n === 0 || v <= (values[n - 1] as number));

t.test('pictures that are being decoded fill the reservoir, and the time that they have is room in it', (t) => {
  const base = { decoding: 12, arrivalsPerMs: 0.05, capacity: 2 };
  const found = costs('decodingDueMs', [Number.NEGATIVE_INFINITY, 100, 200, 400], base);
  t.equal(found[0], found[1], 'due no later than those that wait');
  t.ok(falls(found.toReversed()) && (found.at(-1) as number) > (found[0] as number), found.join());
  t.end();
});

t.test('what is expected to arrive makes pictures cheaper', (t) => {
  const found = costs('arrivalsPerMs', [0, 0.05, 0.2, 0.6, 9]);
  t.same([found[0], found.at(-1)], [FULL.share, QUARTER.share], 'never refused for a forecast');
  t.ok(falls(found) && new Set(found).size > 2, found.join());
  t.same(shape(decide([within(100)], view({ arrivalsPerMs: 0.3 }))), ['full', 1], 'while next to nothing waits');
  t.same(shape(decide([within(100)], view({ arrivalsPerMs: 0.6 }))), [QUARTER.id, 1]);
  t.same(shape(decide([within(100)], view({ arrivalsPerMs: 0.6, threads: 2 }))), ['full', 1], 'two threads');
  t.end();
});

t.test('a forecast does not touch who has no choice, and their work counts', (t) => {
  t.same(shape(decide([within(100, { allowed: [FULL] })], view({ arrivalsPerMs: 9 }))), ['full', 1]);
  t.same(shape(decide([picture({ allowed: [FULL] })], view({ arrivalsPerMs: 9 }))), ['full', 1]);
  const behind = many(8, () => picture({ allowed: [FULL] }));
  t.same(shape(decide([within(100)], view({ arrivalsPerMs: 0.3 }))), ['full', 1]);
  t.same(shape(decide([within(100), ...behind], view({ arrivalsPerMs: 0.3 }))), [QUARTER.id, 1]);
  t.end();
});

t.test('the more unevenly pictures come, the cheaper', (t) => {
  const [even, clumps] = costs('dispersion', [1, 20], { arrivalsPerMs: 0.3 });
  t.ok((clumps as number) < (even as number), `${clumps} after ${even}`);
  t.end();
});

t.test('pictures that are being decoded count like those that wait', (t) => {
  t.same(shape(decide([within(100)], view({ decoding: 2, capacity: 9 }))), ['full', 1]);
  t.same(shape(decide([within(100)], view({ decoding: 100 }))), [QUARTER.id, 1]);
  t.end();
});

t.test('what runs on other threads is work that has to be done as well', (t) => {
  const four = many(4, () => within(100));
  const both = view({ threads: 2, arrivalsPerMs: 0.2 });
  t.same(shape(decide(four, both)), ['full', 4]);
  t.same(shape(decide(four, { ...both, runningUntilMs: [90] })), [HALF.id, 4]);
  t.end();
});

t.test('what pictures take besides their networks is no time for networks', (t) => {
  const found = costs('besidesMs', [0, 5, 10, 20, 40], { arrivalsPerMs: 0.05, capacity: 2 });
  t.equal(found[0], FULL.share, 'there is CPU for both');
  t.ok(falls(found) && (found.at(-1) as number) < FULL.share, found.join());
  t.end();
});

t.test('while decoding keeps the CPUs busy, what is not worth its CPU waits for a fuller batch', (t) => {
  const crowd = view({ decoding: 4, arrivalsPerMs: 0.2 });
  const waits = decide([within(100)], crowd);
  t.equal(waits.run, undefined);
  const untilMs = waits.waitUntilMs as number;
  t.ok(untilMs > 0 && untilMs <= 100 - predict(QUARTER, 8), 'and is in time after it');
  t.ok(decide([within(100)], { ...crowd, nowMs: untilMs }).run, 'not longer');
  t.ok(decide([within(20)], crowd).run, 'not without slack');
  t.ok(decide([within(100)], { ...crowd, decoding: 1 }).run, 'not while a CPU is free');
  t.ok(
    decide(
      many(8, () => within(100)),
      crowd,
    ).run,
    'not with a full batch',
  );
  t.ok(decide([picture()], crowd).run, 'not where nothing is due');
  t.end();
});

t.test('under overload the one that takes least CPU, though it was slow of late', (t) => {
  const burst = many(30, () => within(60));
  const slow = view({ predict: (i, n) => (i === QUARTER ? 50 : predict(i, n)) });
  t.same(shape(decide(burst, { ...slow, arrivalsPerMs: 9 })), [QUARTER.id, 8]);
  t.end();
});

t.test('CPU that networks may not take is no time for them', (t) => {
  const found = costs('capacity', [2, 0.5, 0.2, 0.1, 0], { arrivalsPerMs: 0.05, threads: 2, idle: 2 });
  t.ok(falls(found), found.join());
  t.same([found[0], found.at(-1)], [FULL.share, QUARTER.share]);
  t.end();
});

t.test('what is beaten by taking turns between two others is not chosen for its price', (t) => {
  const dull = instance('p05-r500', { flops: 450, top1: 0.861 });
  const allowed = [FULL, HALF, dull, THIRD, QUARTER];
  for (const arrivalsPerMs of [0.3, 0.5, 0.8, 9]) {
    const { run } = decide([within(100, { allowed })], view({ arrivalsPerMs }));
    t.ok(run && run.instance !== dull, `${run?.instance.id}`);
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
  .record({
    threads: fc.integer({ min: 1, max: 4 }),
    idle: fc.integer({ min: 1, max: 4 }),
    capacity: fc.double({ min: 0, max: 4, noNaN: true }),
    besidesMs: fc.double({ min: 0, max: 10, noNaN: true }),
    decoding: fc.nat(20),
    decodingDueMs: fc.double({ min: 0, max: 2000, noNaN: true }),
    arrivalsPerMs: fc.double({ min: 0, max: 5, noNaN: true }),
    dispersion: fc.double({ min: 0, max: 20, noNaN: true }),
  })
  .map(({ threads, idle, ...facts }) =>
    view({
      ...facts,
      nowMs: 1000,
      threads,
      idle: Math.min(idle, threads),
    }),
  );

/** The head, on an instance all allow, in time for all who can be. */
const runsWell = (run: Run<Waiting>, head: Waiting | undefined, { nowMs }: View) =>
  run.pictures[0] === head &&
  [1, 2, 4, 8].includes(run.pictures.length) &&
  run.predictedMs === predict(run.instance, run.pictures.length) &&
  run.pictures.every((w) => w.allowed.includes(run.instance)) &&
  run.pictures.every((w) => w.late || nowMs + run.predictedMs <= w.deadlineMs);

/** For pictures that are being decoded, and each that has a deadline has time left for a full batch of the head. */
const waitsWell = (untilMs: number, left: readonly Waiting[], { nowMs, decoding }: View) => {
  const fullBatchMs = Math.min(...(left[0]?.allowed.map((i) => predict(i, 8)) ?? []));
  return decoding > 0 && untilMs > nowMs && left.every((w) => w.late || untilMs + fullBatchMs < w.deadlineMs);
};

t.test('for any queue', (t) => {
  fc.assert(
    fc.property(queue, anyView, (waiting, view) => {
      const { run, expired, turnedLate, waitUntilMs } = decide(waiting, view);
      const dropped = [...expired, ...turnedLate];
      const taken = [...(run?.pictures ?? []), ...dropped];
      // Nothing is invented or taken twice.
      if (new Set(taken).size !== taken.length || !taken.every((w) => waiting.includes(w))) return false;
      // Expired pictures are strict, and no allowed instance could have finished them.
      if (dropped.some((w) => w.allowed.some((i) => view.nowMs + predict(i, 1) <= w.deadlineMs))) return false;
      if (!expired.every((w) => w.strict) || !turnedLate.every((w) => !w.strict)) return false;
      // If anything is left, something runs, or waits for more.
      const left = waiting.filter((w) => !dropped.includes(w));
      if (run) return runsWell(run, left[0], view);
      return left.length === 0 || waitsWell(waitUntilMs ?? Number.NaN, left, view);
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
