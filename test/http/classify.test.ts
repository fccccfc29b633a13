/** Budgets and answers over real HTTP, on real engine threads. */

import { connect } from 'node:net';
import { parseDictionary } from 'structured-headers';
import t from 'tap';
import { classification } from '../../src/http/schemas.js';
import { classify, createApp, picture, readyApp, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';

t.test('with real engine threads', async (t) => {
  const { app, url } = await createApp(t, { ENGINE_THREADS: '2' });
  await app.start();
  const png = await picture();
  const ask = async (budget: string | undefined, query = '') => {
    const response = await classify(url, png, budget === undefined ? {} : { 'Inference-Budget': budget }, query);
    const text = await response.text();
    t.equal(response.status, 200, `${budget}: ${text}`);
    const answer = classification.parse(JSON.parse(text));
    const [result] = answer.results;
    if (!result) throw new Error('an answer without a result');
    return { response, answer, result, id: result.model_instance.id };
  };

  await t.test('no budget: the most accurate instance, and all the facts', async (t) => {
    const { response, answer, result, id } = await ask(undefined);
    t.equal(id, 'full');
    t.equal(answer.model, 'tiny');
    t.match(answer.modelVersion, /^[0-9a-f]{12}$/);
    t.same(answer.budget, { strict: true, met: true });
    t.equal(result.predictions.length, 3, 'as many labels as there are, if fewer than five');
    const sum = result.predictions.reduce((a, p) => a + p.probability, 0);
    t.ok(Math.abs(sum - 1) < 1e-5);
    t.ok(result.predictions.every((p, i, all) => i === 0 || p.probability <= (all[i - 1]?.probability ?? 0)));
    const { decodeMs, queueMs, inferenceMs, totalMs } = result.timing;
    t.ok(totalMs >= decodeMs + queueMs + inferenceMs - 0.01, 'the total covers its parts');
    t.match(
      response.headers.get('server-timing'),
      /^decode;dur=[\d.]+, queue;dur=[\d.]+, infer;dur=[\d.]+, total;dur=[\d.]+$/,
    );
    const cost = parseDictionary(response.headers.get('inference-cost') ?? '');
    t.equal(cost.get('flops')?.[0], result.cost.flops);
    t.equal(cost.get('share')?.[0], 1);
    t.same(
      ((cost.get('instances')?.[0] ?? []) as [string, unknown][]).map(([id]) => id),
      ['full'],
    );
    t.match(response.headers.get('x-request-id'), /^[\w-]{36}$/);
  });

  await t.test('each member of the budget alone', async (t) => {
    t.equal((await ask('cost=0.4')).id, 'p01-r500');
    t.equal((await ask('cost=0.65')).id, 'p02-r500');
    t.equal((await ask('flops=350000')).id, 'p02-r750');
    t.equal((await ask('accuracy=0.84')).id, 'p02-r750', 'the cheapest that has it');
    const { id, answer, result } = await ask('latency=2000');
    t.equal(id, 'full');
    t.equal(answer.budget.met, true);
    t.ok(result.timing.totalMs <= 2000);
  });

  await t.test('members together', async (t) => {
    t.equal((await ask('cost=0.65, latency=2000')).id, 'p02-r500');
    t.equal((await ask('accuracy=0.75, cost=0.8')).id, 'p02-r750', 'the most accurate of those allowed');
    t.equal((await ask('flops=400000, cost=0.4, accuracy=0.5, latency=2000')).id, 'p01-r500');
  });

  await t.test('not strict: the nearest answer, and met says so', async (t) => {
    const cheap = await ask('cost=0.1, strict=?0');
    t.equal(cheap.id, 'p01-r500');
    t.same(cheap.answer.budget, { cost: 0.1, strict: false, met: false });
    const both = await ask('cost=0.4, accuracy=0.9, strict=?0');
    t.equal(both.id, 'p01-r500');
    t.equal(both.answer.budget.met, false);
    const late = await ask('latency=0.001, strict=?0');
    t.equal(late.id, 'p01-r500', 'late, on the cheapest');
    t.equal(late.answer.budget.met, false);
    t.equal((await ask('cost=0.4, strict=?0')).answer.budget.met, true);
  });

  await t.test('a pinned instance, within a budget that allows it', async (t) => {
    const { id, result } = await ask(undefined, '?instance=p03-r750&top=1&model=tiny');
    t.equal(id, 'p03-r750');
    t.equal(result.predictions.length, 1);
    t.equal((await ask('cost=0.9', '?instance=p03-r750')).id, 'p03-r750');
    const refused = await classify(url, png, { 'Inference-Budget': 'cost=0.5' }, '?instance=p03-r750');
    t.equal(refused.status, 422);
    t.match(await refused.json(), { type: 'urn:dimmer:problem:infeasible-budget', nearest: { cost: 0.884 } });
  });

  await t.test('several pictures in one form, answered in their order', async (t) => {
    const form = new FormData();
    for (const format of ['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const) {
      form.append('image', new Blob([await picture(format)]), `picture.${format}`);
    }
    const response = await classify(url, form, { 'Inference-Budget': 'cost=0.65' });
    const answer = classification.parse(await response.json());
    t.equal(answer.results.length, 6);
    t.ok(answer.results.every((r) => r.model_instance.id === 'p02-r500'));
    const cost = parseDictionary(response.headers.get('inference-cost') ?? '');
    t.equal(cost.get('flops')?.[0], 6 * 260192);
    t.equal(cost.get('share')?.[0], 3.612);
  });

  await t.test('any or no Content-Type, also chunked', async (t) => {
    for (const type of [
      'image/png',
      'application/x-www-form-urlencoded',
      'application/json',
      'text/plain',
      'nonsense/x',
      'jpeg',
    ]) {
      t.equal((await classify(url, png, { 'Content-Type': type })).status, 200, type);
    }
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(png.subarray(0, 10));
        controller.enqueue(png.subarray(10));
        controller.close();
      },
    });
    const init = { method: 'POST', body: stream, duplex: 'half' } as RequestInit;
    t.equal((await fetch(`${url}/classify`, init)).status, 200, 'no Content-Type, chunked');
  });
});

t.test('a default budget holds for requests without a header, and a header replaces it whole', async (t) => {
  const { url } = await readyApp(t, { DEFAULT_BUDGET: 'cost=0.4, strict=?0' });
  const instanceFor = async (headers: Record<string, string>) => {
    const { results, budget } = (await (await classify(url, await picture(), headers)).json()) as {
      results: { model_instance: { id: string } }[];
      budget: object;
    };
    return [results[0]?.model_instance.id, budget];
  };
  t.same(await instanceFor({}), ['p01-r500', { cost: 0.4, strict: false, met: true }]);
  t.same(await instanceFor({ 'Inference-Budget': 'latency=5000' }), [
    'full',
    { latency: 5000, strict: true, met: true },
  ]);
  t.same(await instanceFor({ 'Inference-Budget': '' }), ['full', { strict: true, met: true }]);
});

t.test('what waits together runs together, each within its own limits', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  const png = await picture();
  runtime.held = true;
  const first = classify(url, png);
  await until(() => runtime.runs.length === 1);
  const budgets = ['latency=60000', 'latency=60000', 'latency=60000', 'cost=0.4', 'latency=60000'];
  const answers = budgets.map((budget) => classify(url, png, { 'Inference-Budget': budget }));
  await until(() => app.state.service.scheduler.stages.decoded === budgets.length);
  while (runtime.runs.length) {
    runtime.runs[0]?.finish();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await first;
  const results = await Promise.all(
    answers.map(async (a) => classification.parse(await (await a).json()).results[0] as { batchSize: number }),
  );
  t.match(
    results[3],
    { batchSize: 1, model_instance: { id: 'p01-r500' } },
    'alone, as nobody else had to be that cheap',
  );
  t.same(
    [0, 1, 2, 4].map((i) => results[i]?.batchSize),
    [4, 4, 4, 4],
  );
});

t.test('the picture of a client that disconnects while it waits never reaches an engine thread', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  const png = await picture();
  runtime.held = true;
  const first = classify(url, png);
  await until(() => runtime.runs.length === 1);
  const leaving = new AbortController();
  const gone = fetch(`${url}/classify`, { method: 'POST', body: png, signal: leaving.signal });
  await until(() => app.state.service.scheduler.queued === 1);
  leaving.abort();
  await t.rejects(gone);
  await until(() => app.state.service.scheduler.queued === 0);
  runtime.runs[0]?.finish();
  t.equal((await first).status, 200);
  await until(() => app.state.inFlight.size === 0);
  t.equal(runtime.history.length, 1);
  t.match(await (await fetch(`${url}/metrics`)).text(), /dimmer_requests_total\{status="499",reason="client-gone"\} 1/);
});

t.test('an upload that breaks off is accounted for', async (t) => {
  const { app, url } = await readyApp(t);
  const counted = async () => (await fetch(`${url}/metrics`)).text();
  const upload = async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhalf');
    await until(() => app.state.uploads.heldBytes === 4);
    return socket;
  };
  (await upload()).resetAndDestroy();
  await until(() => app.state.inFlight.size === 0 && app.state.uploads.heldBytes === 0);
  t.match(await counted(), /dimmer_requests_total\{status="499",reason="client-gone"\} 1/);
  (await upload()).end();
  await until(() => app.state.inFlight.size === 0 && app.state.uploads.heldBytes === 0);
  t.match(
    await counted(),
    /dimmer_requests_total\{status="499",reason="client-gone"\} 2/,
    'one that sends no more too',
  );
});

t.test('slow runs and decodes during load do not make an idle host refuse requests afterwards', async (t) => {
  const { app, url } = await readyApp(t);
  const { catalog, latency } = app.state.service;
  for (const { key } of catalog.families[0]?.instances ?? []) {
    for (let n = 0; n < 64; n++) latency.ran(key, 1, 5000);
  }
  const response = await classify(url, await picture(), { 'Inference-Budget': 'latency=900' });
  t.equal(response.status, 200, await response.text());
});

t.test('an answer that comes too late is an answer, and counted as late', async (t) => {
  const clock = new FakeClock();
  const { url, runtime } = await readyApp(t, {}, { clock });
  const png = await picture();
  runtime.held = true;
  const pending = classify(url, png, { 'Inference-Budget': 'latency=200' });
  await until(() => runtime.runs.length === 1);
  await clock.pass(250);
  runtime.runs[0]?.finish();
  const response = await pending;
  t.equal(response.status, 200);
  t.match(await response.json(), { budget: { latency: 200, strict: true, met: false } });
  t.match(
    await (await fetch(`${url}/metrics`)).text(),
    /dimmer_promises_total\{model="tiny",kept="false",strict="true"\} 1/,
  );
});
