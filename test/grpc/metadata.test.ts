/** Every call of the Open Inference Protocol over gRPC, statistics, the index, and reflection. */
import { readFileSync } from 'node:fs';
import { type ServiceDefinition, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import t from 'tap';
import { v2Statistics } from '../../src/oip/schemas.js';
import { picture, readyApp, temporaryFolder, tinyFamilies } from '../support/app.js';
import { Caller, fileImages, grpcApp, isRefusal, OIP, rawImage, startingApp } from '../support/grpc.js';

/** What reflection answers, of which one is set. */
interface Reflected {
  readonly listServicesResponse: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse: { readonly fileDescriptorProto: readonly Buffer[] };
}

t.test('every call of the specification is there, and answers', async (t) => {
  const { app, caller } = await grpcApp(t);
  const version = app.state.service.catalog.family('tiny').family.version;
  const answers: Record<string, (message: Record<string, unknown>) => void> = {
    ServerLive: (m) => t.same(m, { live: true }),
    ServerReady: (m) => t.same(m, { ready: true }),
    ServerMetadata: (m) => {
      const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
      t.same(m, {
        name: 'dimmer',
        version,
        extensions: ['binary_tensor_data', 'classification', 'parameters', 'statistics'],
      });
    },
    ModelReady: (m) => t.same(m, { ready: true }),
    ModelMetadata: (m) =>
      t.same(m, {
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
        properties: {},
      }),
    ModelInfer: (m) => t.match(m, { model_name: 'tiny', model_version: version }),
    ModelStatistics: (m) => t.match(m, { model_stats: [{ name: 'tiny', version }] }),
    RepositoryIndex: (m) => t.same(m, { models: [{ name: 'tiny', version, state: 'READY', reason: '' }] }),
  };
  t.same(Object.keys(OIP).sort(), Object.keys(answers).sort(), 'and no call is without a test');
  for (const [name, isRight] of Object.entries(answers)) {
    const requests =
      name === 'ModelInfer'
        ? [rawImage(), { ...rawImage(), model_version: version }]
        : [{ name: 'tiny' }, { name: 'tiny', version }];
    for (const request of requests) {
      const { message, headers } = await caller.call(name, request, { 'x-request-id': 'mine' });
      isRight(message as Record<string, unknown>);
      t.same(headers.get('x-request-id'), ['mine'], name);
    }
  }
  const given = await caller.call('ServerLive', {}, { 'x-request-id': 'not an id' });
  t.match(String(given.headers.get('x-request-id')[0]), /^[\da-f-]{36}$/);
});

t.test('other models and versions', async (t) => {
  const { app, caller } = await grpcApp(t);
  const version = app.state.service.catalog.family('tiny').family.version;
  for (const name of ['ModelReady', 'ModelMetadata', 'ModelStatistics']) {
    t.match(isRefusal(t, await caller.fail(name, { name: 'none' }), 'unknown-model'), 'one of tiny');
    t.match(isRefusal(t, await caller.fail(name, { name: 'tiny', version: '1' }), 'unknown-model'), version);
  }
  isRefusal(t, await caller.fail('ModelInfer', { ...rawImage(), model_name: 'none' }), 'unknown-model');
  isRefusal(t, await caller.fail('ModelInfer', { ...rawImage(), model_version: '1' }), 'unknown-model');
  isRefusal(t, await caller.fail('ModelReady', {}), 'unknown-model');
  const long = await caller.fail('ModelReady', { name: '€'.repeat(20_000) });
  t.equal(long.code, status.NOT_FOUND);
  t.match(long.details, /^unknown-model: there is no model €+\.\.\.$/);
  t.ok(long.details.length < 700, 'an error has a limit, whatever name it shows');
});

t.test('calls that only Triton has are answered by the library', async (t) => {
  const { caller } = await grpcApp(t);
  const error = await new Promise<{ code: number }>((resolve) => {
    const path = '/inference.GRPCInferenceService/ModelConfig';
    const bytes = (message: Buffer) => message;
    caller.client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) => resolve(error as never));
  });
  t.equal(error.code, status.UNIMPLEMENTED);
});

t.test('ready means warm', async (t) => {
  const { app, caller } = await startingApp(t);
  const answer = async (name: string) => (await caller.call(name, { name: 'tiny' })).message;
  t.same(await answer('ServerLive'), { live: true }, 'alive from the start');
  t.equal((await answer('ServerMetadata')).name, 'dimmer', 'what the server is, is known');
  for (const name of ['ServerReady', 'ModelReady']) t.same(await answer(name), { ready: false });
  for (const name of ['ModelMetadata', 'ModelStatistics', 'RepositoryIndex'])
    isRefusal(t, await caller.fail(name, { name: 'tiny' }), 'not-ready');
  isRefusal(t, await caller.fail('ModelInfer', rawImage()), 'not-ready');
  await app.start();
  for (const name of ['ServerReady', 'ModelReady']) t.same(await answer(name), { ready: true });
  app.state.draining = true;
  for (const name of ['ServerReady', 'ModelReady']) t.same(await answer(name), { ready: false });
  isRefusal(t, await caller.fail('ModelInfer', rawImage()), 'draining');
  t.same(await answer('ServerLive'), { live: true });
});

t.test('never ready without a model', async (t) => {
  const { app, caller } = await startingApp(t, { MODELS_DIR: temporaryFolder(t) });
  await app.start();
  t.same((await caller.call('ServerReady')).message, { ready: false });
});

t.test('off by default', async (t) => {
  const { app } = await readyApp(t);
  t.equal(app.grpcAddress, undefined);
});

t.test('statistics count what was done, by any protocol', async (t) => {
  const { url, caller } = await grpcApp(t, { MODELS_DIR: tinyFamilies(t, ['tiny', 'other']) });
  await caller.call('ModelInfer', fileImages([await picture(), await picture('jpeg')]));
  await fetch(`${url}/classify?model=tiny`, { method: 'POST', body: await picture() });
  isRefusal(t, await caller.fail('ModelInfer', fileImages([Buffer.from('text')])), 'unsupported-media');
  const { message: all } = await caller.call('ModelStatistics');
  t.same(all.model_stats.map((m: { name: string }) => m.name).sort(), ['other', 'tiny']);
  const { message: one } = await caller.call('ModelStatistics', { name: 'tiny' });
  t.match(one.model_stats, [
    { inference_count: 3, inference_stats: { success: { count: 2 }, fail: { count: 1 }, compute_infer: { count: 3 } } },
  ]);
  const rest = v2Statistics.parse(await (await fetch(`${url}/v2/models/tiny/stats`)).json());
  const { response_stats: _, ...same } = rest.model_stats[0] as (typeof rest.model_stats)[number];
  t.same(one.model_stats[0], same, 'as over REST');
});

t.test('reflection describes the service and the health service', async (t) => {
  const { address } = await grpcApp(t);
  for (const version of ['v1', 'v1alpha']) {
    const file = `node_modules/@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`;
    const protocol = loadSync(new URL(`../../${file}`, import.meta.url).pathname, { oneofs: true });
    const service = protocol[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
    const { ServerReflectionInfo: info } = service;
    const { client } = new Caller(t, address);
    const ask = (request: object) =>
      new Promise<Reflected>((resolve, reject) => {
        const stream = client.makeBidiStreamRequest(
          info?.path as string,
          info?.requestSerialize as never,
          info?.responseDeserialize as never,
        );
        stream.on('data', resolve).on('error', reject);
        stream.write(request);
        stream.end();
      });
    const listed = await ask({ listServices: '*' });
    t.same(listed.listServicesResponse.service.map((s) => s.name).sort(), [
      'grpc.health.v1.Health',
      'inference.GRPCInferenceService',
    ]);
    const found = await ask({ fileContainingSymbol: 'inference.ModelInferRequest' });
    const [descriptor] = found.fileDescriptorResponse.fileDescriptorProto;
    t.match(String(descriptor), 'raw_input_contents');
  }
});
