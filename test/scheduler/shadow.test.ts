import t from 'tap';
import { Shadow } from '../../src/scheduler/shadow.js';
import { classify, picture, readyApp, until } from '../support/app.js';
import { settle } from '../support/fake-clock.js';
import { FULL, QUARTER } from '../support/instances.js';
import { setUpScheduler } from '../support/scheduler.js';

const CAT = Float32Array.of(9, 0, 0);
const DOG = Float32Array.of(0, 9, 0);

function setUp(share = 1) {
  const compared: [string, boolean][] = [];
  const shadow = new Shadow({
    share,
    fullOf: () => FULL,
    compared: ({ id }, agreed) => compared.push([id, agreed]),
    random: () => 0.5,
  });
  const { runtime, submit } = setUpScheduler({ shadow });
  const running = () => runtime.runs.map((r) => r.batch.key);
  return { runtime, compared, running, submit: (allowed = [QUARTER]) => submit({ allowed }) };
}

t.test('a cheap answer runs again on full when the thread is idle, and they are compared', async (t) => {
  const { runtime, compared, submit, running } = setUp();
  const first = submit();
  await settle();
  const answers = [first, submit()];
  await settle();
  runtime.runs[0]?.finish(CAT);
  await settle();
  t.same(running(), ['test/p01-r500'], 'who waits goes first');
  runtime.runs[0]?.finish(CAT);
  await settle();
  t.same(running(), ['test/full']);
  runtime.runs[0]?.finish(CAT);
  await settle();
  runtime.runs[0]?.finish(DOG);
  await settle();
  await Promise.all(answers);
  t.same(compared, [
    ['p01-r500', true],
    ['p01-r500', false],
  ]);
  t.same(running(), []);
});

t.test('full is not compared with itself, and only the given share is run again', async (t) => {
  for (const [share, allowed, again] of [
    [1, FULL, 0],
    [0.4, QUARTER, 0],
    [0.6, QUARTER, 1],
  ] as const) {
    const { runtime, submit, running } = setUp(share);
    const answer = submit([allowed]);
    await settle();
    runtime.runs[0]?.finish(CAT);
    await answer;
    await settle();
    t.equal(running().length, again, `${share} of ${allowed.id}`);
    runtime.runs[0]?.finish(CAT);
    await settle();
  }
});

t.test('a failed shadow run affects no request', async (t) => {
  const { runtime, compared, submit } = setUp();
  const answer = submit();
  await settle();
  runtime.runs[0]?.finish(CAT);
  await answer;
  await settle();
  runtime.runs[0]?.fail(new Error('died'));
  await settle();
  t.same(compared, []);
  const next = submit();
  await settle();
  runtime.runs[0]?.finish(CAT);
  t.same((await next).outcome?.logits, CAT);
});

t.test('an operator sees agreement by instance', async (t) => {
  const { app, url } = await readyApp(t, { SHADOW_SHARE: '1' });
  t.equal((await classify(url, await picture(), { 'Inference-Budget': 'cost=0.4' })).status, 200);
  await until(() => app.state.service.scheduler.queued === 0);
  const text = await (await fetch(`${url}/metrics`)).text();
  t.match(text, /dimmer_agreement_ratio\{model="tiny",instance="p0\d-r\d+"\} 1/);
  t.match(text, /dimmer_shadows_total\{model="tiny",instance="p0\d-r\d+",agreed="true"\} 1/);
});
