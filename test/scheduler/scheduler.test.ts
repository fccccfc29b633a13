import fc from 'fast-check';
import t from 'tap';
import { Engine } from '../../src/engine/engine.js';
import { DimmerError } from '../../src/errors.js';
import { ANSWER_MS, type Order } from '../../src/scheduler/order.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FakeRuntime } from '../support/fake-runtime.js';
import { FAMILY, FULL, predict, QUARTER } from '../support/instances.js';
import { exactModel } from '../support/latency.js';

function setUp({ threads = 1, maxQueue = 100 } = {}) {
  const clock = new FakeClock();
  const runtime = new FakeRuntime({ threads });
  const model = exactModel();
  const scheduler = new Scheduler({ engine: new Engine(runtime), model, clock, maxQueue });
  const order = (facts: Partial<Order> = {}): Order => ({
    allowed: FAMILY,
    startMs: clock.now(),
    latencyMs: undefined,
    strict: true,
    late: false,
    ...facts,
  });
  /** One picture, admitted and submitted; what becomes of it. */
  const submit = (facts: Partial<Order> = {}, signal = new AbortController().signal) => {
    const admission = scheduler.admit(order(facts), 1, 0);
    const outcome = admission.submit(Uint8Array.of(1, 2, 3), signal);
    admission.end();
    return outcome;
  };
  return { clock, runtime, model, scheduler, order, submit };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    (error) => (error instanceof DimmerError ? error.code : error.message),
  );
const keys = (runtime: FakeRuntime) => runtime.history.map((b) => `${b.key} x ${b.size}`);

t.test('an idle thread starts at once, and the outcome says what happened', async (t) => {
  const { clock, runtime, submit } = setUp();
  const answer = submit({ latencyMs: 100 });
  t.same(keys(runtime), ['test/full x 1']);
  await clock.pass(7);
  runtime.runs[0]?.finish(Float32Array.of(1, 2, 3));
  t.match(await answer, { instance: FULL, batchSize: 1, queueMs: 0, inferenceMs: 7, predictedMs: 10 });
  t.same((await answer).logits, [1, 2, 3]);
});

t.test('what waits is decided when a thread becomes free, not before', async (t) => {
  const { clock, runtime, submit } = setUp();
  const first = submit();
  const others = Array.from({ length: 8 }, () => submit({ latencyMs: 55 }));
  t.equal(runtime.history.length, 1, 'the thread is busy');
  await clock.pass(10);
  runtime.runs[0]?.finish();
  await first;
  t.same(keys(runtime), ['test/full x 1', 'test/p02-r500 x 8'], 'eight in the 43 ms that are left');
  runtime.runs[0]?.finish();
  t.same(
    (await Promise.all(others)).map((o) => o.batchSize),
    Array(8).fill(8),
  );
});

t.test('who waits for a fuller batch waits no longer for a picture that cannot be decoded', async (t) => {
  const { clock, runtime, scheduler, order, submit } = setUp();
  const decoding = [scheduler.admit(order({ latencyMs: 200 }), 1, 0)];
  await clock.pass(50); // so that these few are no rush
  for (let n = 0; n < 3; n++) decoding.push(scheduler.admit(order({ latencyMs: 200 }), 1, 0));
  void submit({ latencyMs: 200 });
  t.equal(runtime.history.length, 0, 'it waits, though the thread is free');
  for (const admission of decoding) admission.end();
  t.equal(runtime.history.length, 1);
});

t.test('who waits for a fuller batch runs while there is time', async (t) => {
  const { clock, runtime, scheduler, order, submit } = setUp();
  for (let n = 0; n < 4; n++) scheduler.admit(order({ latencyMs: 200 }), 1, 0);
  const answer = submit({ latencyMs: 200 });
  await clock.pass(200 - predict(FULL, 8));
  t.equal(runtime.history.length, 1, 'with nobody to wake it');
  runtime.runs[0]?.finish();
  t.ok(await answer);
});

t.test('earliest deadline first', async (t) => {
  const { runtime, submit } = setUp();
  void submit();
  const slow = submit({ latencyMs: 500, allowed: [QUARTER] });
  const fast = submit({ latencyMs: 100, allowed: [FULL] });
  runtime.runs[0]?.finish();
  t.equal(runtime.runs[0]?.batch.key, 'test/full', 'though it came later');
  runtime.runs[0]?.finish();
  await fast;
  runtime.runs[0]?.finish();
  await slow;
});

t.test('a strict picture that can no longer be in time is never run', async (t) => {
  const { clock, runtime, scheduler, submit } = setUp();
  void submit();
  const answer = codeOf(submit({ latencyMs: 20 }));
  await clock.pass(19);
  t.equal(await answer, 'deadline-exceeded', 'told when its time is over, though the thread is still busy');
  t.equal(scheduler.queued, 0);
  runtime.runs[0]?.finish();
  t.equal(runtime.history.length, 1);
});

t.test('one that is not strict runs late, on its cheapest instance, after those in time', async (t) => {
  const { clock, runtime, submit } = setUp();
  void submit();
  const late = submit({ latencyMs: 20, strict: false });
  await clock.pass(30);
  const inTime = submit({ latencyMs: 200, allowed: [FULL] });
  runtime.runs[0]?.finish();
  t.equal(runtime.runs[0]?.batch.key, 'test/full', 'the one in time goes first');
  runtime.runs[0]?.finish();
  await inTime;
  t.equal(runtime.runs[0]?.batch.key, QUARTER.key);
  runtime.runs[0]?.finish();
  t.equal((await late).instance, QUARTER);
});

t.test('the queue is bounded in pictures, those being decoded counted', async (t) => {
  const { runtime, scheduler, order, submit } = setUp({ maxQueue: 3 });
  void submit();
  const admission = scheduler.admit(order(), 2, 0);
  t.equal(scheduler.queued, 2, 'reserved');
  t.throws(() => scheduler.admit(order(), 2, 0), { code: 'overloaded', facts: { retryAfterS: 1 } });
  const last = scheduler.admit(order(), 1, 0);
  t.equal(scheduler.full, true);
  admission.end();
  last.end();
  t.equal(scheduler.queued, 0, 'places that were not used are given back');
  runtime.runs[0]?.finish();
});

t.test('however requests come and threads end their runs, no more than MAX_QUEUE pictures wait', async () => {
  const step = fc.oneof(
    fc.record({ pictures: fc.integer({ min: 1, max: 6 }), submits: fc.boolean() }),
    fc.constant('run ends' as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), async (maxQueue, steps) => {
      const { runtime, scheduler, order } = setUp({ maxQueue });
      const ends: (() => void)[] = [];
      const admit = (pictures: number, submits: boolean) => {
        const before = scheduler.queued;
        try {
          const admission = scheduler.admit(order(), pictures, 0);
          ends.push(admission.end);
          const signal = new AbortController().signal;
          for (let n = 0; submits && n < pictures; n++) admission.submit(Uint8Array.of(0), signal).catch(() => {});
          return before + pictures <= maxQueue;
        } catch {
          return before + pictures > maxQueue && scheduler.queued === before; // refused whole, and only for want of room
        }
      };
      for (const s of steps) {
        if (s === 'run ends') runtime.runs[0]?.finish();
        else if (!admit(s.pictures, s.submits)) return false;
        await settle();
        if (scheduler.queued > maxQueue) return false;
      }
      for (const end of ends) end();
      for (; runtime.runs.length; await settle()) runtime.runs[0]?.finish();
      return scheduler.queued === 0;
    }),
    { numRuns: 200 },
  );
});

t.test('hopeless for the backlog: refused at once', async (t) => {
  const { runtime, submit } = setUp();
  const pictures = [submit(), ...Array.from({ length: 10 }, () => submit({ allowed: [FULL], latencyMs: 1000 }))];
  await t.rejects(async () => submit({ latencyMs: 20, allowed: [FULL] }), { code: 'deadline-unattainable' });
  t.doesNotThrow(() => pictures.push(submit({ latencyMs: 40 })), 'a later deadline goes before the others');
  t.doesNotThrow(
    () => pictures.push(submit({ latencyMs: 12, strict: false })),
    'not strict: never refused for the budget',
  );
  while (runtime.runs.length) {
    runtime.runs[0]?.finish();
    await settle();
  }
  await Promise.all(pictures);
});

t.test(
  'admission counts those that will run before: a burst of equal deadlines is cut where it cannot be met',
  async (t) => {
    const { runtime, submit } = setUp();
    const results = Array.from({ length: 60 }, () => {
      try {
        return codeOf(submit({ latencyMs: 60 }));
      } catch (error) {
        return Promise.resolve((error as DimmerError).code);
      }
    });
    const admitted = () => runtime.history.reduce((sum, b) => sum + b.size, 0);
    t.equal(admitted(), 1);
    const refused = (await Promise.all(results.map((r) => Promise.race([r, settle().then(() => 'waiting')])))).filter(
      (r) => r === 'deadline-unattainable',
    );
    t.ok(
      refused.length > 25 && refused.length < 45,
      `${refused.length} of 60 refused; 58 ms hold about 25 of the cheapest`,
    );
    while (runtime.runs.length) {
      runtime.runs[0]?.finish();
      await settle();
    }
  },
);

t.test('hopeless for the pictures of the request itself: refused at once', async (t) => {
  const { scheduler, order } = setUp();
  const latencyMs = predict(QUARTER, 1) + ANSWER_MS;
  t.doesNotThrow(() => scheduler.admit(order({ latencyMs }), 1, 0).end());
  t.throws(() => scheduler.admit(order({ latencyMs }), 16, 0), { code: 'deadline-unattainable' });
});

t.test('pictures without a deadline that run first are counted as waiting ahead', async (t) => {
  const { clock, scheduler, order, submit } = setUp({ maxQueue: 5000 });
  const waiting = Array.from({ length: 2000 }, () => submit({ allowed: [FULL] }));
  for (const w of waiting) w.catch(() => {});
  await clock.pass(1);
  t.throws(() => scheduler.admit(order({ latencyMs: 3000 }), 1, 0), { code: 'deadline-unattainable' });
});

t.test('a client that has gone is dropped before its picture runs', async (t) => {
  const { runtime, scheduler, submit } = setUp();
  void submit();
  const gone = new AbortController();
  const answer = codeOf(submit({}, gone.signal));
  gone.abort(new Error('gone'));
  t.equal(await answer, 'gone');
  t.equal(scheduler.queued, 0);
  runtime.runs[0]?.finish();
  await settle();
  t.equal(runtime.history.length, 1);
});

t.test('a run that fails fails its pictures and nothing else', async (t) => {
  const { runtime, submit } = setUp();
  const first = codeOf(submit());
  const second = submit();
  runtime.runs[0]?.fail(new DimmerError('engine-failed', { detail: 'x', expected: 'x', action: 'x' }));
  t.equal(await first, 'engine-failed');
  runtime.runs[0]?.finish();
  t.equal((await second).batchSize, 1);
});

t.test('with every thread dead, strict pictures still get their answer in time', async (t) => {
  const { clock, runtime, submit } = setUp();
  runtime.alive = 0;
  const answer = codeOf(submit({ latencyMs: 50 }));
  await clock.pass(50 - ANSWER_MS);
  t.equal(await answer, 'deadline-exceeded');
});

t.test('a replacement thread takes up what waits', async (t) => {
  const { runtime, submit } = setUp();
  runtime.alive = 0;
  const answer = submit();
  t.equal(runtime.history.length, 0);
  runtime.alive = 1;
  runtime.onIdle();
  runtime.runs[0]?.finish();
  t.equal((await answer).instance, FULL);
});

t.test('the model is told of each run; not of one that was loaded for it', async (t) => {
  const { clock, runtime, model, submit } = setUp();
  runtime.keep(new Set([FULL.key]));
  for (const allowed of [[FULL], [QUARTER]]) {
    const answer = submit({ allowed });
    await clock.pass(20);
    runtime.runs[0]?.finish();
    await answer;
  }
  t.same(model.told, [[FULL.key, 1, 20]]);
});

t.test('no timer is left when nothing waits', async (t) => {
  const { clock, runtime, submit } = setUp();
  const answers = [submit({ latencyMs: 100 }), submit({ latencyMs: 100 })];
  t.equal(clock.timers, 1);
  runtime.runs[0]?.finish();
  await settle();
  runtime.runs[0]?.finish();
  await Promise.all(answers);
  t.equal(clock.timers, 0);
});
