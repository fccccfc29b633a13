import fc from 'fast-check';
import t from 'tap';
import { DimmerError } from '../../src/errors.js';
import { ANSWER_MS } from '../../src/scheduler/order.js';
import { settle } from '../support/fake-clock.js';
import { times } from '../support/fake-latency.js';
import { FULL, predict, QUARTER } from '../support/instances.js';
import { setUpScheduler } from '../support/scheduler.js';

t.test('an idle thread starts at once, and the outcome says what happened', async (t) => {
  const { clock, runtime, decoder, submit, runs, latency } = setUpScheduler();
  decoder.held = true;
  const answer = submit({ latencyMs: 100 });
  await clock.pass(3);
  t.same(runs(), [], 'it is being decoded');
  decoder.decodes[0]?.finish();
  await settle();
  t.same(runs(), ['test/full x 1']);
  await clock.pass(7);
  runtime.runs[0]?.finish(Float32Array.of(1, 2, 3));
  const { outcome } = await answer;
  t.match(outcome, { instance: FULL, batchSize: 1, decodeMs: 3, queueMs: 0, inferenceMs: 7, predictedMs: 13 });
  t.same(outcome?.logits, [1, 2, 3]);
  t.same(latency.runs, [[FULL.key, 1, 7]], 'the model learns of it');
  t.same(latency.decodes, [3]);
});

t.test('the instance is chosen when a thread becomes idle, not before', async (t) => {
  const { clock, runtime, submit, runs } = setUpScheduler();
  const first = submit();
  await settle();
  const others = Array.from({ length: 8 }, () => submit({ latencyMs: 55 }));
  await settle();
  t.equal(runtime.history.length, 1, 'the thread is busy');
  await clock.pass(10);
  runtime.runs[0]?.finish();
  await first;
  await settle();
  t.same(runs(), ['test/full x 1', 'test/p01-r500 x 8'], 'all eight, on what leaves time for as many more');
  runtime.runs[0]?.finish();
  t.same(
    (await Promise.all(others)).map((o) => o.outcome?.batchSize),
    Array(8).fill(8),
  );
});

t.test('on a GPU a burst runs in batches of up to 64', async (t) => {
  const { runtime, submit, runs, finishAll } = setUpScheduler({}, { device: 'cuda' });
  const first = submit();
  await settle();
  const others = Array.from({ length: 90 }, () => submit({ allowed: [QUARTER] }));
  await settle();
  runtime.runs[0]?.finish();
  await first;
  await finishAll();
  const sizes = (await Promise.all(others)).map((o) => o.outcome?.batchSize);
  t.same(runs(), ['test/full x 1', ...[64, 16, 8, 2].map((size) => `test/p01-r500 x ${size}`)]);
  t.equal(sizes.filter((size) => size === 64).length, 64);
});

t.test('earliest deadline first, in decoding and in running', async (t) => {
  const { runtime, decoder, submit, order, scheduler, finishAll } = setUpScheduler();
  const first = submit();
  await settle();
  decoder.held = true;
  decoder.most = 0;
  const image = (n: number) => ({
    images: [Uint8Array.of(n, 2, 3)],
    signal: new AbortController().signal,
    decoded: () => {},
  });
  const slow = scheduler.classify(order({ latencyMs: 500, allowed: [QUARTER] }), image(7));
  const fast = scheduler.classify(order({ latencyMs: 100, allowed: [FULL] }), image(8));
  decoder.most = 1;
  void submit({ latencyMs: 900 }).catch(() => {}); // makes it look again
  for (; decoder.decodes.length; await settle()) decoder.decodes[0]?.finish();
  t.same(
    decoder.history.slice(1, 3).map(([n]) => n),
    [8, 7],
    'though it came later',
  );
  runtime.runs[0]?.finish();
  await first;
  await settle();
  t.equal(runtime.runs[0]?.batch.key, 'test/full');
  runtime.runs[0]?.finish();
  await fast;
  await settle();
  t.equal(runtime.runs[0]?.batch.key, QUARTER.key);
  await finishAll();
  await slow;
});

t.test('a strict picture that can no longer be in time is never run, and told when its time is over', async (t) => {
  const { clock, runtime, scheduler, submit } = setUpScheduler();
  void submit();
  await settle();
  const answer = submit({ latencyMs: 20 });
  await clock.pass(20);
  t.match(await answer, { what: 'deadline-exceeded', atMs: 20 - ANSWER_MS }, 'though the thread is still busy');
  t.equal(scheduler.queued, 0);
  runtime.runs[0]?.finish();
  t.equal(runtime.history.length, 1);
});

t.test('nothing is decoded that can no longer be in time, and what is being decoded then is given up', async (t) => {
  const { clock, decoder, submit } = setUpScheduler();
  decoder.held = true;
  decoder.most = 1;
  const first = submit({ latencyMs: 30 });
  const second = submit({ latencyMs: 30 });
  await clock.pass(30);
  t.equal((await first).what, 'deadline-exceeded', 'while it was decoded');
  t.equal((await second).what, 'deadline-exceeded', 'while it waited for that');
  t.equal(decoder.decodes.length, 0, 'given up');
  t.equal(decoder.history.length, 1, 'never begun');
});

t.test('a late picture that is not strict becomes best effort: it runs last, on its cheapest', async (t) => {
  const { clock, runtime, submit, finishAll, runs } = setUpScheduler();
  void submit();
  await settle();
  const late = submit({ latencyMs: 20, strict: false });
  await clock.pass(30);
  const inTime = submit({ latencyMs: 200, allowed: [FULL] });
  await settle();
  runtime.runs[0]?.finish();
  await finishAll();
  t.equal((await late).what, QUARTER.id);
  t.equal((await inTime).what, FULL.id);
  t.same(runs(), ['test/full x 1', 'test/full x 1', `${QUARTER.key} x 1`]);
});

t.test('best effort waits before decoding, too', async (t) => {
  const { clock, decoder, order, scheduler, submit } = setUpScheduler();
  decoder.held = true;
  decoder.most = 1;
  void submit();
  await settle();
  const image = (n: number) => ({
    images: [Uint8Array.of(n, 2, 3)],
    signal: new AbortController().signal,
    decoded: () => {},
  });
  scheduler.classify(order({ bestEffort: true, strict: false, latencyMs: 1 }), image(7)).catch(() => {});
  await clock.pass(1);
  scheduler.classify(order({ latencyMs: 900 }), image(8)).catch(() => {});
  decoder.decodes[0]?.finish();
  await settle();
  t.same(decoder.decodes[0]?.bytes, [8, 2, 3]);
});

t.test('the queue is bounded in pictures, those being decoded counted', async (t) => {
  const { runtime, scheduler, submit, ask, decoder, finishAll } = setUpScheduler({ maxQueue: 3 });
  const first = submit();
  await settle();
  decoder.held = true;
  const two = ask({}, { pictures: 2 });
  t.equal(scheduler.queued, 2);
  await t.rejects(ask({}, { pictures: 2 }), { code: 'overloaded', facts: { retryAfterS: 1 } });
  const last = submit();
  t.equal((await submit()).what, 'overloaded');
  t.equal(scheduler.queued, 3);
  while (decoder.decodes.length) decoder.decodes[0]?.finish();
  runtime.runs[0]?.finish();
  await finishAll();
  await Promise.all([first, two, last]);
  t.equal(scheduler.queued, 0);
});

t.test('best effort pictures leave half of the places to those that can be in time', async (t) => {
  const { scheduler, submit, finishAll } = setUpScheduler({ maxQueue: 5 });
  const first = submit();
  await settle();
  const bestEffort = { strict: false, bestEffort: true, latencyMs: 1 };
  const late = [1, 2, 3].map(() => submit(bestEffort));
  t.equal((await submit(bestEffort)).what, 'overloaded');
  const inTime = [submit({ latencyMs: 500 }), submit({ latencyMs: 500 })];
  t.equal(scheduler.queued, 5);
  t.equal((await submit({ latencyMs: 500 })).what, 'overloaded');
  await finishAll();
  for (const { outcome } of await Promise.all([first, ...inTime, ...late])) t.ok(outcome);
});

t.test('however requests come and threads end their runs, no more than MAX_QUEUE pictures wait', async () => {
  const step = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant('run ends' as const));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), async (maxQueue, steps) => {
      const { runtime, scheduler, ask, finishAll } = setUpScheduler({ maxQueue });
      const answers: Promise<unknown>[] = [];
      for (const s of steps) {
        if (s === 'run ends') runtime.runs[0]?.finish();
        else {
          const [before, answer] = [scheduler.queued, ask({}, { pictures: s })];
          const code = answer.then(
            () => 'answered',
            (error) => (error as DimmerError).code,
          );
          answers.push(answer.catch(() => {}));
          const refused = (await Promise.race([code, Promise.resolve().then(settle)])) === 'overloaded';
          if (refused !== before + s > maxQueue) return false; // refused whole, and only for want of room
        }
        await settle();
        if (scheduler.queued > maxQueue) return false;
      }
      await finishAll();
      await Promise.all(answers);
      return scheduler.queued === 0;
    }),
    { numRuns: 100 },
  );
});

t.test('a deadline that the backlog makes impossible is refused at once', async (t) => {
  const { submit, finishAll } = setUpScheduler();
  const pictures = [submit()];
  await settle();
  for (let n = 0; n < 10; n++) pictures.push(submit({ allowed: [FULL], latencyMs: 1000 }));
  const refused = await submit({ latencyMs: 20, allowed: [FULL] });
  t.match(refused, { what: 'deadline-unattainable', atMs: 0 });
  t.match((refused.error as DimmerError).facts, { detail: /would take \d+ ms of the 20 ms/, retryAfterS: 1 });
  const earlier = submit({ latencyMs: 40 });
  const late = submit({ latencyMs: 12, strict: false });
  await finishAll();
  t.not((await earlier).what, 'deadline-unattainable', 'a later deadline goes before the others');
  t.equal((await late).what, QUARTER.id, 'not strict: never refused for the budget');
  t.ok((await Promise.all(pictures)).every((p) => p.what === FULL.id));
});

t.test('a refusal that does not depend on the pictures comes before they are read', async (t) => {
  const { scheduler, submit, ask, order, finishAll } = setUpScheduler({ maxQueue: 12 });
  const all = [submit()];
  await settle();
  t.doesNotThrow(() => scheduler.assertRoom(order({ latencyMs: 20 })));
  for (let n = 0; n < 10; n++) all.push(submit({ allowed: [FULL], latencyMs: 1000 }));
  t.throws(() => scheduler.assertRoom(order({ latencyMs: 20, allowed: [FULL] })), { code: 'deadline-unattainable' });
  t.doesNotThrow(() => scheduler.assertRoom(order({ latencyMs: 20, allowed: [FULL], strict: false })));
  const two = ask({}, { pictures: 2 });
  t.throws(() => scheduler.assertRoom(order()), { code: 'overloaded' });
  await finishAll();
  await Promise.all([...all, two]);
  t.doesNotThrow(() => scheduler.assertRoom(order({ latencyMs: 20, allowed: [FULL] })));
});

t.test('an earlier deadline is refused if it would make an admitted picture late', async (t) => {
  const { submit, finishAll } = setUpScheduler();
  const first = submit();
  await settle();
  const admitted = [submit({ allowed: [FULL], latencyMs: 37 }), submit({ allowed: [FULL], latencyMs: 37 })];
  t.equal((await submit({ allowed: [FULL], latencyMs: 30 })).what, 'deadline-unattainable');
  await finishAll();
  await first;
  t.same(
    (await Promise.all(admitted)).map((a) => a.what),
    [FULL.id, FULL.id],
  );
});

t.test('of a burst with equal deadlines only as many are admitted as can be in time', async (t) => {
  const { submit, finishAll } = setUpScheduler();
  const results = Array.from({ length: 60 }, () => submit({ latencyMs: 60 }));
  const early = await Promise.all(results.map((r) => Promise.race([r, settle()])));
  const refused = early.filter((r) => r?.what === 'deadline-unattainable').length;
  t.ok(refused > 25 && refused < 45, `${refused} of 60 refused; 58 ms hold about 25 of the cheapest`);
  await finishAll();
});

t.test('a request whose own pictures cannot all be in time is refused at once', async (t) => {
  const { ask, finishAll } = setUpScheduler();
  const latencyMs = predict(QUARTER, 1) + ANSWER_MS + 1;
  await t.rejects(ask({ latencyMs }, { pictures: 16 }), { code: 'deadline-unattainable' });
  const one = ask({ latencyMs });
  await finishAll();
  t.equal((await one).length, 1);
});

t.test('an idle host admits one picture however slow recent runs were', async (t) => {
  const { latency, submit, finishAll } = setUpScheduler();
  latency.run = (key, size) => ({
    ...times(predict(key === QUARTER.key ? QUARTER : FULL, size)),
    meanMs: 90,
    highMs: 99,
  });
  const answer = submit({ latencyMs: 20 });
  await finishAll();
  t.match(await answer, { what: /full|p0/ });
});

t.test('the picture of a client that disconnects is dropped at any stage', async (t) => {
  const { runtime, decoder, scheduler, submit } = setUpScheduler();
  void submit();
  await settle();
  const gone = new AbortController();
  const decoded = submit({}, gone.signal);
  await settle();
  decoder.held = true;
  const decoding = submit({}, gone.signal);
  await settle();
  decoder.most = 0;
  const encoded = submit({}, gone.signal);
  t.equal(scheduler.queued, 3);
  gone.abort(new Error('gone'));
  t.same([(await decoded).what, (await decoding).what, (await encoded).what], ['gone', 'gone', 'gone']);
  t.equal(scheduler.queued, 0);
  t.equal(decoder.decodes.length, 0);
  runtime.runs[0]?.finish();
  await settle();
  t.equal(runtime.history.length, 1);
  t.equal((await submit({}, gone.signal)).what, 'gone', 'before it came');
});

t.test('the first picture that fails ends its request, says which it was, and the others are dropped', async (t) => {
  const { runtime, decoder, scheduler, ask } = setUpScheduler();
  decoder.held = true;
  const answer = ask({}, { pictures: 3 });
  await settle();
  decoder.decodes[1]?.fail(new DimmerError('invalid-image', { detail: 'x', expected: 'x', action: 'x' }));
  await t.rejects(answer, { code: 'invalid-image', facts: { members: { image: 1 } } });
  t.equal(scheduler.queued, 0);
  t.equal(decoder.decodes.length, 0);
  t.equal(runtime.history.length, 0);
});

t.test('a run that fails fails its pictures and nothing else', async (t) => {
  const { runtime, submit, finishAll } = setUpScheduler();
  const first = submit();
  await settle();
  const second = submit();
  runtime.runs[0]?.fail(new DimmerError('engine-failed', { detail: 'x', expected: 'x', action: 'x' }));
  t.equal((await first).what, 'engine-failed');
  await finishAll();
  t.equal((await second).outcome?.batchSize, 1);
});

t.test('with every thread dead, strict pictures still get their answer in time', async (t) => {
  const { clock, runtime, submit } = setUpScheduler();
  runtime.alive = 0;
  const answer = submit({ latencyMs: 50 });
  await clock.pass(50 - ANSWER_MS);
  t.equal((await answer).what, 'deadline-exceeded');
});

t.test('a replacement thread takes up what waits', async (t) => {
  const { runtime, submit, finishAll } = setUpScheduler();
  runtime.alive = 0;
  const answer = submit();
  await settle();
  t.equal(runtime.history.length, 0);
  runtime.alive = 1;
  runtime.becomeIdle();
  await finishAll();
  t.equal((await answer).what, FULL.id);
});

t.test('encoded pictures are released when the last picture of the request is decoded', async (t) => {
  const { decoder, scheduler, order, finishAll } = setUpScheduler();
  decoder.held = true;
  let times = 0;
  const answer = scheduler.classify(order(), {
    images: [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)],
    signal: new AbortController().signal,
    decoded: () => {
      times += 1;
    },
  });
  decoder.decodes[0]?.finish();
  await settle();
  t.equal(times, 0);
  decoder.decodes[0]?.finish();
  await settle();
  t.equal(times, 1);
  await finishAll();
  await answer;
});

t.test('no timer is left when nothing waits', async (t) => {
  const { clock, submit, finishAll } = setUpScheduler();
  const answers = [submit({ latencyMs: 100 }), submit({ latencyMs: 100 })];
  t.equal(clock.timers, 1);
  await finishAll();
  await Promise.all(answers);
  t.equal(clock.timers, 0);
});

t.test('a closed scheduler has removed its listeners', async (t) => {
  const { runtime, scheduler, submit } = setUpScheduler();
  runtime.alive = 0;
  void submit();
  await settle();
  scheduler.close();
  runtime.alive = 1;
  runtime.becomeIdle();
  await settle();
  t.equal(runtime.history.length, 0);
});
