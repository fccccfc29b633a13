/** Whatever part of scheduling fails, every picture is answered, and no timer or thread gets an exception. */
import fc from 'fast-check';
import t from 'tap';
import { type Next, next as ours } from '../../src/plan/next.js';
import { Shadow } from '../../src/scheduler/shadow.js';
import { settle } from '../support/fake-clock.js';
import { FakeLatency } from '../support/fake-latency.js';
import { FULL, QUARTER } from '../support/instances.js';
import { setUpScheduler } from '../support/scheduler.js';

const broken = () => {
  throw new TypeError('broken on purpose');
};
const whats = async (answers: Promise<{ what: string }>[]) => (await Promise.all(answers)).map((a) => a.what);

t.test('a plan that always fails: first come, each alone, on its cheapest allowed instance', async (t) => {
  const { runtime, faults, submit, finishAll } = setUpScheduler({ next: broken });
  const answers = [submit(), submit({ latencyMs: 1000 }), submit({ allowed: [FULL] }), submit({ strict: false })];
  await finishAll();
  t.same(await whats(answers), [QUARTER.id, QUARTER.id, FULL.id, QUARTER.id]);
  t.ok(runtime.history.every((b) => b.size === 1));
  t.ok(faults.length > 0 && faults.every((f) => f instanceof TypeError), 'and it is told');
});

t.test('a plan that always fails, and time passes: who is strict expires, and no timer throws', async (t) => {
  const { clock, runtime, submit, finishAll } = setUpScheduler({ next: broken });
  const running = submit();
  await settle();
  const answers = [submit({ latencyMs: 50 }), submit({ latencyMs: 50, strict: false })];
  await clock.pass(60);
  runtime.runs[0]?.finish();
  await finishAll();
  t.equal((await running).what, QUARTER.id);
  t.same(await whats(answers), ['deadline-exceeded', QUARTER.id]);
});

t.test('a plan that waits although nothing would wake it, or that returns an impossible action', async (t) => {
  const nonsense: Next[] = [
    () => ({ type: 'wait', untilMs: Number.POSITIVE_INFINITY }),
    () => ({ type: 'drop', pictures: [] }),
    () => ({ type: 'run', instance: FULL, pictures: [] }),
    ({ waiting }) => ({ type: 'run', instance: FULL, pictures: waiting.slice(0, 1) }), // encoded still, or all threads busy
    ({ waiting }) => ({ type: 'decode', picture: waiting[0] as (typeof waiting)[0] }), // again and again
  ];
  for (const next of nonsense) {
    const { faults, submit, finishAll } = setUpScheduler({ next });
    const answers = [submit(), submit()];
    await finishAll();
    for (const what of await whats(answers)) t.ok([QUARTER.id, FULL.id].includes(what), what);
    t.ok(faults.length > 0);
  }
});

/** A function that throws at every n-th call. */
function failing(every: number) {
  let calls = 0;
  return () => {
    if (++calls % every === 0) broken();
  };
}

/** A latency model whose calls throw now and then. */
function failingLatency(every: number): FakeLatency {
  const [model, sometimes] = [new FakeLatency(), failing(every)];
  for (const method of ['run', 'ran', 'decoded'] as const) {
    const its = model[method].bind(model) as (...args: unknown[]) => unknown;
    Object.assign(model, {
      [method]: (...args: unknown[]) => {
        sometimes();
        return its(...args);
      },
    });
  }
  return model;
}

type World = ReturnType<typeof setUpScheduler> & {
  readonly leaving: AbortController;
  readonly answers: Promise<{ what: string }>[];
};
/** The events of a random run. */
const EVENTS: ((world: World, n: number) => unknown)[] = [
  ({ runtime }) => runtime.runs[0]?.finish(),
  ({ runtime }) => runtime.runs[0]?.fail(new Error('the thread died')),
  ({ decoder }) => decoder.decodes[0]?.finish(),
  ({ decoder }) => decoder.decodes.at(-1)?.fail(new Error('damaged')),
  ({ decoder }, n) => {
    decoder.most = n % 4;
  },
  ({ leaving }) => leaving.abort(new Error('gone')),
  ({ runtime }) => {
    runtime.alive = Math.max(runtime.runs.length, 1);
  },
  ({ runtime }) => {
    runtime.alive = 2;
    runtime.becomeIdle();
  },
  ({ clock }, n) => clock.pass(n),
  ({ answers, submit }, n) => answers.push(submit({ latencyMs: n })),
  ({ answers, submit }, n) => answers.push(submit({ latencyMs: n, strict: false })),
  ({ answers, submit }) => answers.push(submit({ strict: false })),
  ({ answers, submit, leaving }) => answers.push(submit({}, leaving.signal)),
];

t.test('whatever fails, every picture gets one answer, and the queue is empty afterwards', async () => {
  const happening = fc.tuple(fc.constantFrom(...EVENTS), fc.integer({ min: 1, max: 60 }));
  const often = fc.integer({ min: 1, max: 30 });
  await fc.assert(
    fc.asyncProperty(often, often, fc.array(happening, { maxLength: 40 }), async (planFails, modelFails, events) => {
      const sometimes = failing(planFails);
      const next: Next = (snapshot) => {
        sometimes();
        return ours(snapshot);
      };
      const world = {
        ...setUpScheduler({ next, latency: failingLatency(modelFails), maxWaitMs: 200 }, { threads: 2 }),
        leaving: new AbortController(),
        answers: [],
      };
      const { clock, runtime, decoder, scheduler, answers, finishAll } = world;
      decoder.held = true;
      for (const [event, n] of events) {
        await event(world, n);
        await settle();
      }
      decoder.held = false;
      decoder.most = 3;
      while (decoder.decodes.length) decoder.decodes[0]?.finish();
      runtime.alive = 2;
      runtime.becomeIdle();
      for (let n = 0; n < 50 && (scheduler.queued > 0 || runtime.runs.length); n++) {
        await finishAll();
        await clock.pass(100);
      }
      const pending = Symbol('pending');
      const all = await Promise.all(answers.map((a) => Promise.race([a, settle().then(() => pending)])));
      return scheduler.queued === 0 && all.every((a) => a !== pending);
    }),
    { numRuns: 300 },
  );
});

t.test('engine, shadows and listeners may fail', async (t) => {
  const shadow = new Shadow({ share: 1, fullOf: broken, compared: broken });
  const { runtime, scheduler, submit, finishAll } = setUpScheduler({ shadow, onFault: broken });
  const answers = [submit({ allowed: [QUARTER] }), submit({ allowed: [QUARTER] })];
  await finishAll();
  t.same(await whats(answers), [QUARTER.id, QUARTER.id]);
  Object.assign(runtime, { run: broken });
  t.equal((await submit()).what, 'broken on purpose', 'its own picture fails');
  Object.defineProperty(runtime, 'idle', { get: broken });
  t.equal((await submit()).what, 'internal');
  t.equal(scheduler.queued, 0);
});

t.test('a picture that an idle host tries despite the model counts as one arrival', async (t) => {
  const forecasts: number[] = [];
  const next: Next = (snapshot) => {
    forecasts.push(snapshot.arrivalsPerMs);
    return ours(snapshot);
  };
  const { submit, finishAll } = setUpScheduler({ next });
  const answer = submit({ latencyMs: 4.6 });
  await finishAll();
  t.equal((await answer).what, QUARTER.id, 'as fast as it can');
  t.ok(forecasts.length > 0 && forecasts.every((f) => f === 0), 'one picture is no rate');
});
