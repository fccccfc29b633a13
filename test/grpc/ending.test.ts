/** How calls end early: cancelled, at their deadline, while the service drains; and the health service. */
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { byHand, Caller, encoded, framed, grpcApp, HEALTH, isRefusal, rawImage, startingApp } from '../support/grpc.js';

type Health = { status: string };

t.test('a cancelled call never reaches an engine thread', async (t) => {
  const { app, url, caller, runtime } = await grpcApp(t);
  runtime.held = true;
  const first = caller.begin('ModelInfer', rawImage());
  await until(() => runtime.runs.length === 1);
  const gone = caller.begin('ModelInfer', rawImage());
  await until(() => app.state.service.scheduler.queued === 1);
  gone.cancel();
  await t.rejects(gone.answer, { code: status.CANCELLED });
  await until(() => app.state.service.scheduler.queued === 0);
  runtime.runs[0]?.finish();
  await first.answer;
  await until(() => app.state.inFlight.size === 0);
  t.equal(runtime.history.length, 1);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  t.match(metrics, /dimmer_requests_total\{status="499",reason="client-gone"\} 1/);
  t.match(metrics, /dimmer_requests_total\{status="200",reason="ok"\} 1/);
});

t.test('a client whose connection breaks in the middle of its message leaves nothing behind', async (t) => {
  const { app, address } = await grpcApp(t);
  const { session, stream } = byHand(t, address);
  stream.write(framed(encoded(rawImage())).subarray(0, 300));
  await until(() => app.state.uploads.heldBytes > 300);
  session.destroy();
  await until(() => app.state.uploads.heldBytes === 0 && app.state.inFlight.size === 0);
});

t.test('a call ends at its deadline, and its picture is not run', async (t) => {
  const { app, url, caller, runtime } = await grpcApp(t);
  runtime.held = true;
  const first = caller.begin('ModelInfer', rawImage());
  await until(() => runtime.runs.length === 1);
  const deadline = { deadline: Date.now() + 300 };
  // Best effort, so that the scheduler itself would keep it waiting.
  const error = await caller.fail('ModelInfer', rawImage(), { 'inference-budget': 'latency=250, strict=?0' }, deadline);
  t.equal(error.code, status.DEADLINE_EXCEEDED);
  await until(() => app.state.service.scheduler.queued === 0);
  runtime.runs[0]?.finish();
  await first.answer;
  await until(() => app.state.inFlight.size === 0);
  t.equal(runtime.history.length, 1);
  t.match(
    await (await fetch(`${url}/metrics`)).text(),
    /dimmer_requests_total\{status="504",reason="deadline-exceeded"\} 1/,
  );
});

t.test('a deadline that passes before the message has come', async (t) => {
  const clock = new FakeClock();
  const { app, address } = await grpcApp(t, {}, { clock });
  const { stream, ended } = byHand(t, address, { 'grpc-timeout': '100S' });
  const bytes = framed(encoded(rawImage()));
  stream.write(bytes.subarray(0, 300));
  await until(() => app.state.uploads.heldBytes > 300);
  await clock.pass(100_001);
  stream.end(bytes.subarray(300));
  const { code, text } = await ended;
  t.equal(status[code], 'DEADLINE_EXCEEDED');
  t.match(text, /^deadline-exceeded: the deadline of the call passed before its message had arrived/);
});

t.test('watchers of /live hear of what gRPC answers and refuses', async (t) => {
  const { app, caller } = await grpcApp(t);
  app.state.live.watch();
  t.teardown(() => app.state.live.unwatch());
  await caller.call('ModelInfer', rawImage(), { 'inference-budget': 'latency=600000' });
  app.state.draining = true;
  await caller.fail('ModelInfer', rawImage(), { 'inference-budget': 'latency=500000' });
  app.state.draining = false;
  t.match(app.state.live.take(), { answered: 1, refused: 1, promisedMs: 500_000, promises: { kept: 1, of: 2 } });
});

t.test('health follows the service', async (t) => {
  const { app, caller } = await startingApp(t);
  const check = async (service = '') => ((await caller.call('Check', { service })).message as Health).status;
  t.equal(await check(), 'NOT_SERVING');
  await app.start();
  t.equal(await check(), 'SERVING');
  t.equal(await check('inference.GRPCInferenceService'), 'SERVING');
  const error = await caller.fail('Check', { service: 'other' });
  t.equal(error.code, status.NOT_FOUND);
  app.state.draining = true;
  t.equal(await check(), 'NOT_SERVING');
  app.state.draining = false;
  t.equal(await check(), 'SERVING');
});

t.test('whoever watches health is told of every change', async (t) => {
  const { app, caller } = await startingApp(t);
  const seen: string[] = [];
  const watch = HEALTH.Watch;
  const stream = (service: string) =>
    caller.client.makeServerStreamRequest(
      watch?.path as string,
      watch?.requestSerialize as never,
      watch?.responseDeserialize as never,
      { service },
    );
  const watching = stream('').on('data', (message: Health) => seen.push(message.status));
  watching.on('error', () => {});
  const unknown = stream('other');
  unknown.on('error', () => {});
  t.match(await new Promise((resolve) => unknown.once('data', resolve)), { status: 'SERVICE_UNKNOWN' });
  await until(() => seen.length === 1);
  await app.start();
  await until(() => seen.length === 2);
  await app.close();
  await until(() => seen.length === 3);
  t.same(seen, ['NOT_SERVING', 'SERVING', 'NOT_SERVING']);
});

t.test('draining: health says no at once, calls in flight finish, new ones go elsewhere', async (t) => {
  const { app, address, caller, runtime } = await grpcApp(t);
  runtime.held = true;
  const running = caller.begin('ModelInfer', rawImage());
  await until(() => runtime.runs.length === 1);
  const waiting = caller.begin('ModelInfer', rawImage());
  await until(() => app.state.service.scheduler.stages.decoded === 1);
  const closed = app.close();
  const other = new Caller(t, address);
  t.match((await other.call('Check')).message, { status: 'NOT_SERVING' });
  t.same((await other.call('ServerReady')).message, { ready: false });
  isRefusal(t, await other.fail('ModelInfer', rawImage()), 'draining');
  runtime.held = false;
  runtime.runs[0]?.finish();
  t.match((await running.answer).message, { model_name: 'tiny' });
  t.match((await waiting.answer).message, { model_name: 'tiny' });
  await closed;
  await t.rejects(new Caller(t, address).call('ServerLive', {}, {}, { deadline: Date.now() + 60_000 }), {
    code: status.UNAVAILABLE,
  });
});

t.test('before draining: health says no, and calls are still served for a while', async (t) => {
  const clock = new FakeClock();
  const { app, address, caller } = await grpcApp(t, {}, { clock });
  const closed = app.close(5000);
  const other = new Caller(t, address);
  t.match((await other.call('Check')).message, { status: 'NOT_SERVING' });
  t.same((await other.call('ServerReady')).message, { ready: false });
  for (const any of [caller, other])
    t.match((await any.call('ModelInfer', rawImage())).message, { model_name: 'tiny' });
  await clock.pass(5000);
  await closed;
});

t.test('a client that does not read its answer holds nothing up for ever', async (t) => {
  const clock = new FakeClock();
  const { app, address } = await grpcApp(t, {}, { clock });
  const unread = async () => {
    const { stream, ended } = byHand(t, address, {}, 'ModelInfer', { initialWindowSize: 0 });
    stream.end(framed(encoded(rawImage())));
    await new Promise((resolve) => stream.once('response', resolve));
    t.equal(app.state.inFlight.size, 1, 'the headers of the answer have come, and it waits to be read');
    return { ended };
  };
  const first = await unread();
  const settled = app.state.inFlight.settled(); // what an old family waits for
  await clock.pass(60_000);
  await settled;
  await first.ended;
  const second = await unread();
  const closed = app.close();
  await until(() => app.state.draining);
  await clock.pass(1000);
  await closed;
  await second.ended;
});

t.test('what cannot end in time is refused', async (t) => {
  const { app, address, caller, runtime } = await grpcApp(t);
  runtime.held = true;
  const running = caller.begin('ModelInfer', rawImage());
  await until(() => runtime.runs.length === 1);
  const half = byHand(t, address);
  half.stream.write(framed(encoded(rawImage())).subarray(0, 300));
  await until(() => app.state.inFlight.size === 2);
  app.hurry();
  t.match(isRefusal(t, await running.answer.then(Promise.reject, (error) => error), 'draining'), 'can wait no longer');
  t.equal(status[(await half.ended).code], 'UNAVAILABLE');
  await app.close();
});
