/** Each row of the Open Inference Protocol that is not inference itself, its statistics and its index. */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { z } from 'zod';
import {
  repositoryIndex,
  v2Live,
  v2Model,
  v2ModelReady,
  v2Ready,
  v2Server,
  v2Statistics,
} from '../../src/oip/schemas.js';
import { createApp, picture, readyApp, temporaryFolder, tinyFamilies } from '../support/app.js';
import { filesInput, imageInput, isV2Error, pixels, post } from '../support/v2.js';

async function get<T extends z.ZodType>(t: Test, url: string, schema: T): Promise<z.infer<T>> {
  const response = await fetch(url);
  const text = await response.text();
  t.equal(response.status, 200, text);
  t.match(response.headers.get('content-type'), 'application/json');
  return schema.parse(JSON.parse(text));
}

t.test('each row of the specification, without and with a version', async (t) => {
  const { app, url } = await readyApp(t);
  const version = app.state.service.catalog.family('tiny').family.version;
  const { version: own } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const server = await get(t, `${url}/v2`, v2Server);
  t.match(server, { name: 'dimmer', version: own });
  t.same(server.extensions, ['binary_tensor_data', 'classification', 'parameters', 'statistics']);
  t.same(await get(t, `${url}/v2/`, v2Server), server);
  t.same(await get(t, `${url}/v2/health/live`, v2Live), { live: true });
  t.same(await get(t, `${url}/v2/health/ready`, v2Ready), { live: true, ready: true });
  for (const model of ['/v2/models/tiny', `/v2/models/tiny/versions/${version}`]) {
    t.same(await get(t, `${url}${model}`, v2Model), {
      name: 'tiny',
      versions: [version],
      platform: 'onnx_onnxv1',
      inputs: [
        { name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] },
        { name: 'image_bytes', datatype: 'BYTES', shape: [-1] },
      ],
      outputs: [
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
        { name: 'logits', datatype: 'FP32', shape: [-1, 3] },
      ],
    });
    t.same(await get(t, `${url}${model}/ready`, v2ModelReady), { name: 'tiny', ready: true });
    t.equal((await get(t, `${url}${model}/stats`, v2Statistics)).model_stats[0]?.version, version);
    const answer = await post(url, { inputs: [imageInput([...pixels()])] }, {}, `${model}/infer`);
    t.match(await answer.json(), { model_name: 'tiny', model_version: version });
  }
});

t.test('a service that is about to end is not ready, nor are its models, but it still answers', async (t) => {
  const { app, url } = await readyApp(t);
  app.state.leaving = true;
  for (const path of ['/readyz', '/v2/health/ready', '/v2/models/tiny/ready']) {
    t.equal((await fetch(`${url}${path}`)).status, 503, path);
  }
  t.equal((await fetch(`${url}/v2/models/tiny`)).status, 200);
  t.equal((await post(url, { inputs: [imageInput([...pixels()])] })).status, 200);
});

t.test('what is not there', async (t) => {
  const { app, url } = await readyApp(t);
  const version = app.state.service.catalog.family('tiny').family.version;
  for (const rest of ['', '/ready', '/stats', '/infer']) {
    const ask = (model: string) =>
      rest === '/infer'
        ? post(url, { inputs: [] }, {}, `/v2/models/${model}/infer`)
        : fetch(`${url}/v2/models/${model}${rest}`);
    t.match(await isV2Error(t, await ask('none'), 'unknown-model'), 'one of tiny');
    t.match(await isV2Error(t, await ask('tiny/versions/1'), 'unknown-model'), `version ${version}`);
  }
  for (const path of ['/v2/nothing', '/v2/models', '/v2/models/tiny/nothing', '/v2/repository/models/tiny/load'])
    t.match(await isV2Error(t, await fetch(`${url}${path}`), 'not-found'), path);
  const wrongMethod = await fetch(`${url}/v2/models/tiny/infer`);
  t.equal(wrongMethod.headers.get('allow'), 'POST');
  await isV2Error(t, wrongMethod, 'method-not-allowed');
  await isV2Error(t, await fetch(`${url}/v2/health/ready`, { method: 'POST' }), 'method-not-allowed');
});

t.test('ready means warm', async (t) => {
  const { app, url } = await createApp(t);
  t.equal((await fetch(`${url}/v2/health/live`)).status, 200, 'alive from the start');
  t.equal((await fetch(`${url}/v2`)).status, 200, 'what the server is, is known');
  const paths = ['/v2/health/ready', '/v2/models/tiny/ready', '/v2/models/tiny', '/v2/models/stats'];
  for (const path of paths) await isV2Error(t, await fetch(`${url}${path}`), 'not-ready');
  await isV2Error(t, await post(url, {}), 'not-ready');
  await isV2Error(t, await post(url, {}, {}, '/v2/repository/index'), 'not-ready');
  await app.start();
  for (const path of paths) t.equal((await fetch(`${url}${path}`)).status, 200, path);
  app.state.draining = true;
  for (const path of paths) await isV2Error(t, await fetch(`${url}${path}`), 'draining');
  t.equal((await fetch(`${url}/v2/health/live`)).status, 200, 'still alive');
});

t.test('never ready without a model', async (t) => {
  const { app, url } = await createApp(t, { MODELS_DIR: temporaryFolder(t) });
  await app.start();
  await isV2Error(t, await fetch(`${url}/v2/health/ready`), 'not-ready');
});

t.test('statistics count what was done, by either protocol', async (t) => {
  const { app, url } = await readyApp(t, { MODELS_DIR: tinyFamilies(t, ['tiny', 'other']) });
  const files = [await picture(), await picture('jpeg')];
  const beforeMs = Date.now();
  t.equal((await post(url, { inputs: [filesInput(files)] })).status, 200);
  t.equal((await fetch(`${url}/classify?model=tiny`, { method: 'POST', body: await picture() })).status, 200);
  const cut = (await picture('jpeg', 64, 64)).subarray(0, 200);
  await isV2Error(t, await post(url, { inputs: [filesInput([cut])] }), 'invalid-image');
  const { model_stats: all } = await get(t, `${url}/v2/models/stats`, v2Statistics);
  t.same(all.map((m) => m.name).sort(), ['other', 'tiny']);
  const tiny = all.find((m) => m.name === 'tiny');
  t.same((await get(t, `${url}/v2/models/tiny/stats`, v2Statistics)).model_stats, [tiny]);
  t.match(tiny, {
    inference_count: 3,
    inference_stats: {
      success: { count: 2 },
      fail: { count: 1 },
      queue: { count: 3 },
      compute_input: { count: 3 },
      compute_infer: { count: 3 },
    },
  });
  t.ok((tiny?.inference_stats.compute_input.ns ?? 0) > 10_000, 'in ns');
  const runs = tiny?.batch_stats.map(({ batch_size, compute_infer: { count } }) => [batch_size, count] as const) ?? [];
  t.equal(
    runs.reduce((sum, [size, count]) => sum + size * count, 0),
    3,
    'every picture was in one run',
  );
  t.equal(
    runs.reduce((sum, [, count]) => sum + count, 0),
    tiny?.execution_count,
  );
  t.ok((tiny?.last_inference ?? 0) >= beforeMs);
  t.match(
    all.find((m) => m.name === 'other'),
    { last_inference: 0, inference_count: 0, execution_count: 0, batch_stats: [] },
  );
  t.equal(app.state.service.classifier.statistics.of('tiny').pictures, 3);
});

t.test('the index of models', async (t) => {
  const { app, url } = await readyApp(t, { MODELS_DIR: tinyFamilies(t, ['tiny', 'other']) });
  const path = '/v2/repository/index';
  const right = app.state.service.catalog.families.map(({ family: { name, version } }) => {
    return { name, version, state: 'READY', reason: '' };
  });
  t.equal(right.length, 2);
  for (const body of [Buffer.from(''), { ready: true }, { ready: false }, {}]) {
    const response = await post(url, body, {}, path);
    t.equal(response.status, 200);
    t.same(repositoryIndex.parse(await response.json()), right);
  }
  t.equal((await fetch(`${url}${path}`, { method: 'POST' })).status, 200, 'no body at all');
  for (const body of [Buffer.from('x'), { ready: 'yes' }, Buffer.from('[]'), Buffer.from('null')])
    await isV2Error(t, await post(url, body, {}, path), 'invalid-request');
  const large = await isV2Error(t, await post(url, Buffer.alloc(2000, ' '), {}, path), 'image-too-large');
  t.match(large, /more than 1024 bytes; expected: nothing, or JSON: \{"ready": true\}/, 'and no word of pictures');
  t.equal(app.state.uploads.heldBytes, 0);
});
