/** A picture that is not strict waits MAX_WAIT_MS at most. */
import t from 'tap';
import type { DimmerError } from '../../src/errors.js';
import { settle } from '../support/fake-clock.js';
import { FULL, predict, QUARTER } from '../support/instances.js';
import { setUpScheduler } from '../support/scheduler.js';

const MAX_WAIT_MS = 1000;
const setUp = () => setUpScheduler({ maxQueue: 5000, maxWaitMs: MAX_WAIT_MS });
const best = { strict: false } as const;

t.test('a picture that others always overtake is refused after MAX_WAIT_MS, with Retry-After', async (t) => {
  const { clock, runtime, submit, finishAll } = setUp();
  void submit({ allowed: [FULL] });
  await settle();
  const poor = submit({ ...best, latencyMs: 5 });
  const rich: ReturnType<typeof submit>[] = [];
  for (let n = 0; n < 300; n++) {
    rich.push(submit({ latencyMs: 60 }));
    await clock.pass(predict(FULL, 1));
    runtime.runs[0]?.finish();
    await settle();
  }
  const { what, atMs, error } = await poor;
  t.equal(what, 'overloaded');
  t.equal(atMs, MAX_WAIT_MS);
  t.match((error as DimmerError).facts, { detail: /MAX_WAIT_MS/, retryAfterS: Number });
  await finishAll();
  t.ok((await Promise.all(rich)).filter((r) => r.outcome).length > 250, 'others are served meanwhile');
});

t.test('it is refused then also if no engine thread or decoding process is alive', async (t) => {
  for (const dead of ['threads', 'decoder']) {
    const { clock, runtime, decoder, submit } = setUp();
    if (dead === 'threads') runtime.alive = 0;
    else decoder.most = 0;
    const fates = [submit(best), submit({ ...best, latencyMs: 20 }), submit({ ...best, bestEffort: true })];
    await clock.pass(MAX_WAIT_MS);
    for (const { what, atMs } of await Promise.all(fates)) {
      t.equal(what, 'overloaded');
      t.equal(atMs, MAX_WAIT_MS);
    }
    t.equal(clock.timers, 0);
  }
});

t.test('a longer latency extends the bound, and a strict request has no such bound', async (t) => {
  const { clock, runtime, submit, finishAll } = setUp();
  runtime.alive = 0;
  const long = submit({ ...best, latencyMs: 3 * MAX_WAIT_MS });
  const strict = submit();
  await clock.pass(2 * MAX_WAIT_MS);
  runtime.alive = 1;
  runtime.becomeIdle();
  await finishAll();
  t.ok((await long).outcome);
  t.ok((await strict).outcome);
});

t.test('a request that would wait longer behind the backlog, best effort included, is refused at once', async (t) => {
  const { clock, submit, finishAll } = setUp();
  const first = submit();
  await clock.pass(1);
  const most = Math.floor(MAX_WAIT_MS / (predict(QUARTER, 8) / 8));
  const late: ReturnType<typeof submit>[] = [];
  for (let n = 0; n < 2 * most; n++) late.push(submit({ ...best, allowed: [QUARTER], bestEffort: true, latencyMs: 1 }));
  const soon = await Promise.all(late.map((l) => Promise.race([l, settle()])));
  const refused = soon.filter((fate) => fate?.what === 'overloaded' && fate.atMs === 1);
  t.ok(Math.abs(refused.length - most) <= 10, `${refused.length} of ${2 * most}`);
  t.match(refused[0]?.error, { facts: { detail: /could start in \d+ ms/, retryAfterS: MAX_WAIT_MS / 1000 + 1 } });
  await finishAll();
  await first;
  t.equal((await Promise.all(late)).filter((l) => l.outcome).length, 2 * most - refused.length);
});

t.test('an idle host admits it', async (t) => {
  const { latency, submit, finishAll } = setUp();
  latency.decode = () => ({ meanMs: 10 * MAX_WAIT_MS, highMs: 10 * MAX_WAIT_MS, idleMs: 1, cpuMs: 1 });
  const answer = submit({ ...best, bestEffort: true, latencyMs: 5 });
  await finishAll();
  t.ok((await answer).outcome);
});
