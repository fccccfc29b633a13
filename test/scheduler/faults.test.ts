/** Whatever fails in scheduling, every picture is answered and nothing is thrown at timers and threads. */
import fc from 'fast-check';
import t from 'tap';
import { Engine } from '../../src/engine/engine.js';
import { DimmerError } from '../../src/errors.js';
import { decide, type Policy } from '../../src/policy/policy.js';
import type { RunModel } from '../../src/scheduler/dispatcher.js';
import type { Order } from '../../src/scheduler/order.js';
import { Scheduler, type SchedulerOptions } from '../../src/scheduler/scheduler.js';
import { Shadow } from '../../src/scheduler/shadow.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FakeRuntime } from '../support/fake-runtime.js';
import { FAMILY, FULL, QUARTER } from '../support/instances.js';
import { exactModel } from '../support/latency.js';

const broken = () => {
  throw new TypeError('broken on purpose');
};

function setUp(options: Partial<SchedulerOptions> = {}, { threads = 1 } = {}) {
  const clock = new FakeClock();
  const runtime = new FakeRuntime({ threads });
  const model = exactModel();
  const faults: unknown[] = [];
  const scheduler = new Scheduler({
    engine: new Engine(runtime),
    model,
    clock,
    maxQueue: 100,
    onFault: (error) => faults.push(error),
    ...options,
  });
  /** What becomes of one picture: the id of its instance, or the code of its error. */
  const submit = async (facts: Partial<Order> = {}, gone = new AbortController().signal): Promise<string> => {
    try {
      const order = {
        allowed: FAMILY,
        startMs: clock.now(),
        latencyMs: undefined,
        strict: true,
        late: false,
        ...facts,
      };
      const admission = scheduler.admit(order, 1, 0);
      const outcome = admission.submit(Uint8Array.of(1, 2, 3), gone);
      admission.end();
      return (await outcome).instance.id;
    } catch (error) {
      return error instanceof DimmerError ? error.code : (error as Error).message;
    }
  };
  const finishAll = async () => {
    for (; runtime.runs.length; await settle()) runtime.runs[0]?.finish();
  };
  return { clock, runtime, model, scheduler, faults, submit, finishAll };
}

t.test('a policy that always fails: first come, each alone, on its cheapest allowed instance', async (t) => {
  const { runtime, faults, submit, finishAll } = setUp({ policy: broken });
  const answers = [submit(), submit({ latencyMs: 1000 }), submit({ allowed: [FULL] }), submit({ strict: false })];
  await finishAll();
  t.same(await Promise.all(answers), [QUARTER.id, QUARTER.id, FULL.id, QUARTER.id]);
  t.ok(runtime.history.every((b) => b.size === 1));
  t.ok(faults.length > 0 && faults.every((f) => f instanceof TypeError), 'and it is told');
});

t.test('a policy that always fails, and time passes: who is strict expires, and no timer throws', async (t) => {
  const { clock, runtime, submit, finishAll } = setUp({ policy: broken });
  const running = submit();
  const answers = [submit({ latencyMs: 50 }), submit({ latencyMs: 50, strict: false })];
  await clock.pass(60);
  runtime.runs[0]?.finish();
  await finishAll();
  t.equal(await running, QUARTER.id);
  t.same(await Promise.all(answers), ['deadline-exceeded', QUARTER.id]);
});

t.test('a policy that runs nothing, though nothing would wake it', async (t) => {
  for (const policy of [
    () => ({ expired: [], turnedLate: [] }),
    () => ({ expired: [], turnedLate: [], waitUntilMs: Number.POSITIVE_INFINITY }),
    () => ({ expired: [], turnedLate: [], run: { instance: FULL, pictures: [], predictedMs: 1 } }),
  ] as Policy[]) {
    const { faults, submit, finishAll } = setUp({ policy });
    const answers = [submit(), submit()];
    await finishAll();
    t.same(await Promise.all(answers), [QUARTER.id, QUARTER.id]);
    t.ok(faults.length > 0);
  }
});

/** A function that throws each time it was called so often. */
function failing(every: number) {
  let calls = 0;
  return () => {
    if (++calls % every === 0) broken();
  };
}

/** A model whose every answer may fail. */
function failingModel(every: number): RunModel {
  const [model, sometimes] = [exactModel(), failing(every)];
  return {
    run: (...of) => {
      sometimes();
      return model.run(...of);
    },
    ran: (...of) => {
      sometimes();
      model.ran(...of);
    },
  };
}

type World = ReturnType<typeof setUp> & { readonly leaving: AbortController; readonly answers: Promise<string>[] };
/** What may happen. */
const EVENTS: ((world: World, n: number) => unknown)[] = [
  ({ runtime }) => runtime.runs[0]?.finish(),
  ({ leaving }) => leaving.abort(new Error('gone')),
  ({ runtime }) => {
    runtime.alive = Math.max(runtime.runs.length, 1);
  },
  ({ runtime }) => {
    runtime.alive = 2;
    runtime.onIdle();
  },
  ({ clock }, n) => clock.pass(n),
  ({ answers, submit }, n) => answers.push(submit({ latencyMs: n })),
  ({ answers, submit }, n) => answers.push(submit({ latencyMs: n, strict: false })),
  ({ answers, submit }) => answers.push(submit({ strict: false })),
  ({ answers, submit, leaving }) => answers.push(submit({}, leaving.signal)),
];

t.test('whatever fails how often, every picture has one answer, and the queue is empty', async () => {
  const happening = fc.tuple(fc.constantFrom(...EVENTS), fc.integer({ min: 1, max: 60 }));
  const often = fc.integer({ min: 1, max: 30 });
  await fc.assert(
    fc.asyncProperty(often, often, fc.array(happening, { maxLength: 40 }), async (policyFails, modelFails, events) => {
      const sometimes = failing(policyFails);
      const policy: Policy = (waiting, view) => {
        sometimes();
        return decide(waiting, view);
      };
      const world = {
        ...setUp({ policy, model: failingModel(modelFails), maxWaitMs: 200 }, { threads: 2 }),
        leaving: new AbortController(),
        answers: [],
      };
      const { clock, runtime, scheduler, answers, finishAll } = world;
      scheduler.onQueue = failing(5);
      for (const [event, n] of events) {
        await event(world, n);
        await settle();
      }
      runtime.alive = 2;
      runtime.onIdle();
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

t.test('an engine, an observer, shadows and who is told may fail', async (t) => {
  const shadow = new Shadow({ share: 1, fullOf: broken, compared: broken });
  const { runtime, scheduler, submit, finishAll } = setUp({ shadow, onFault: broken });
  scheduler.onQueue = broken;
  const answers = [submit({ allowed: [QUARTER] }), submit({ allowed: [QUARTER] })];
  await finishAll();
  t.same(await Promise.all(answers), [QUARTER.id, QUARTER.id]);
  Object.assign(runtime, { run: broken });
  t.equal(await submit(), 'broken on purpose', 'its own picture fails');
  Object.defineProperty(runtime, 'idle', { get: broken });
  t.equal(await submit(), 'internal');
  t.equal(scheduler.queued, 0);
});

t.test('an idle host’s try of what looks hopeless is one arrival', async (t) => {
  const forecasts: number[] = [];
  const policy: Policy = (waiting, view) => {
    forecasts.push(view.arrivalsPerMs);
    return decide(waiting, view);
  };
  const { submit, finishAll } = setUp({ policy });
  const answer = submit({ latencyMs: 2.5 });
  await finishAll();
  t.equal(await answer, QUARTER.id, 'as fast as it can');
  t.same(forecasts, [0], 'one picture is no rate');
});
