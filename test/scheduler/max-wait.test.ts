/** Best effort is not for ever: a picture that is not strict waits MAX_WAIT_MS at most. */
import t from 'tap';
import { Engine } from '../../src/engine/engine.js';
import { DimmerError } from '../../src/errors.js';
import type { Order } from '../../src/scheduler/order.js';
import { Scheduler } from '../../src/scheduler/scheduler.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FakeRuntime } from '../support/fake-runtime.js';
import { FAMILY, FULL, predict, QUARTER } from '../support/instances.js';
import { exactModel } from '../support/latency.js';

const MAX_WAIT_MS = 1000;

function setUp() {
  const clock = new FakeClock();
  const runtime = new FakeRuntime();
  const model = exactModel();
  const scheduler = new Scheduler({
    engine: new Engine(runtime),
    model,
    clock,
    maxQueue: 5000,
    maxWaitMs: MAX_WAIT_MS,
  });
  const admit = (facts: Partial<Order> = {}) =>
    scheduler.admit(
      { allowed: FAMILY, startMs: clock.now(), latencyMs: undefined, strict: false, late: false, ...facts },
      1,
      0,
    );
  /** What becomes of one picture, and when. */
  const submit = async (facts: Partial<Order> = {}) => {
    const fate = (what: unknown) => ({ what, atMs: clock.now() });
    try {
      const admission = admit(facts);
      const outcome = admission.submit(Uint8Array.of(1, 2, 3), new AbortController().signal);
      admission.end();
      return fate((await outcome).instance);
    } catch (error) {
      return fate(error);
    }
  };
  return { clock, runtime, scheduler, admit, submit };
}
const isRefusal = (what: unknown): what is DimmerError => what instanceof DimmerError && what.code === 'overloaded';

t.test('while others always go first, it is told so when its time is over, and when to try again', async (t) => {
  const { clock, runtime, submit } = setUp();
  void submit({ strict: true, allowed: [FULL] });
  const poor = submit({ latencyMs: 5 });
  const rich: ReturnType<typeof submit>[] = [];
  for (let n = 0; n < 300; n++) {
    rich.push(submit({ strict: true, latencyMs: 60 }));
    await clock.pass(predict(FULL, 1));
    runtime.runs[0]?.finish();
    await settle();
  }
  const { what, atMs } = await poor;
  t.ok(isRefusal(what), String(what));
  t.equal(atMs, MAX_WAIT_MS);
  t.match((what as DimmerError).facts, { detail: /MAX_WAIT_MS/, retryAfterS: Number });
  for (; runtime.runs.length; await settle()) runtime.runs[0]?.finish();
  t.ok((await Promise.all(rich)).filter((r) => !(r.what instanceof Error)).length > 250, 'others are served meanwhile');
});

t.test('with every thread dead it is told, too', async (t) => {
  const { clock, runtime, submit } = setUp();
  runtime.alive = 0;
  const fates = [submit({}), submit({ latencyMs: 20 }), submit({ late: true })];
  await clock.pass(MAX_WAIT_MS);
  for (const { what, atMs } of await Promise.all(fates)) {
    t.ok(isRefusal(what), String(what));
    t.equal(atMs, MAX_WAIT_MS);
  }
  t.equal(clock.timers, 0);
});

t.test('a latency that is longer is waited for, and one that is strict knows no such bound', async (t) => {
  const { clock, runtime, submit } = setUp();
  runtime.alive = 0;
  const long = submit({ latencyMs: 3 * MAX_WAIT_MS });
  const strict = submit({ strict: true });
  await clock.pass(2 * MAX_WAIT_MS);
  runtime.alive = 1;
  runtime.onIdle();
  for (; runtime.runs.length; await settle()) runtime.runs[0]?.finish();
  t.notOk((await long).what instanceof Error);
  t.notOk((await strict).what instanceof Error);
});

t.test('the wait before the queue counts', async (t) => {
  const { clock, admit } = setUp();
  const admission = admit();
  t.equal(admission.lastStartMs, clock.now() + MAX_WAIT_MS);
  await clock.pass(MAX_WAIT_MS + 1);
  t.match(admission.expired(), { code: 'overloaded', message: /waited 1001 ms/ });
  admission.end();
});

t.test('what could not start in time behind all others is refused at once, late ones counted', async (t) => {
  const { runtime, clock, submit } = setUp();
  const first = submit({ strict: true });
  await clock.pass(1);
  const [rateMs] = [predict(QUARTER, 8) / 8];
  const late: ReturnType<typeof submit>[] = [];
  const most = Math.floor(MAX_WAIT_MS / rateMs);
  for (let n = 0; n < 2 * most; n++) late.push(submit({ allowed: [QUARTER], late: true, latencyMs: 1 }));
  await settle();
  const refused = (await Promise.all(late.map((l) => Promise.race([l, settle().then(() => undefined)])))).filter(
    (fate) => fate && isRefusal(fate.what) && fate.atMs === 1,
  );
  t.ok(Math.abs(refused.length - most) <= 10, `${refused.length} of ${2 * most}`);
  t.match(refused[0]?.what, { facts: { detail: /could start in \d+ ms/, retryAfterS: MAX_WAIT_MS / 1000 + 1 } });
  for (; runtime.runs.length; await settle()) runtime.runs[0]?.finish();
  await first;
  const served = (await Promise.all(late)).filter((l) => !(l.what instanceof Error)).length;
  t.equal(served, 2 * most - refused.length);
});

t.test('an idle host tries', async (t) => {
  const { runtime, scheduler, submit, clock } = setUp();
  t.doesNotThrow(() =>
    scheduler
      .admit({ allowed: FAMILY, startMs: clock.now(), latencyMs: 5, strict: false, late: true }, 1, 10 * MAX_WAIT_MS)
      .end(),
  );
  const answer = submit({ late: true });
  runtime.runs[0]?.finish();
  t.notOk((await answer).what instanceof Error);
});
