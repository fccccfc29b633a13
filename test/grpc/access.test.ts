/** Keys and quotas over gRPC, as over HTTP. */
import { type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import t from 'tap';
import { FakeClock } from '../support/fake-clock.js';
import { grpcApp, HEALTH, isRefusal, OIP, rawImage } from '../support/grpc.js';

const KEY = 'a-key-of-sixteen-c';

t.test('every call needs a key where keys are required, but those of health', async (t) => {
  const { caller } = await grpcApp(t, { API_KEYS: KEY, REQUIRE_API_KEY: 'true' });
  for (const name of Object.keys(OIP)) {
    const message = name === 'ModelInfer' ? rawImage() : { name: 'tiny' };
    isRefusal(t, await caller.fail(name, message), 'unauthorized');
    isRefusal(t, await caller.fail(name, message, { 'x-api-key': 'another-key-of-some-length' }), 'unauthorized');
    await caller.call(name, message, { 'x-api-key': KEY });
    await caller.call(name, message, { authorization: `Bearer ${KEY}` });
  }
  t.same(Object.keys(HEALTH).sort(), ['Check', 'List', 'Watch']);
  t.match((await caller.call('Check')).message, { status: 'SERVING' });
  for (const version of ['v1', 'v1alpha']) {
    const file = `node_modules/@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`;
    const protocol = loadSync(new URL(`../../${file}`, import.meta.url).pathname);
    const { ServerReflectionInfo: info } = protocol[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
    const stream = caller.client.makeBidiStreamRequest(
      info?.path as string,
      info?.requestSerialize as never,
      info?.responseDeserialize as never,
    );
    const error = await new Promise<ServiceError>((resolve) => stream.on('error', resolve));
    t.equal(error.code, status.UNAUTHENTICATED, `reflection ${version}`);
  }
});

t.test('a quota in FLOPs is charged by what ran', async (t) => {
  const clock = new FakeClock();
  const { caller } = await grpcApp(t, { QUOTA_FLOPS_PER_MINUTE: '1' }, { clock });
  await caller.call('ModelInfer', rawImage());
  const text = isRefusal(t, await caller.fail('ModelInfer', rawImage()), 'quota-exceeded');
  t.match(text, 'QUOTA_FLOPS_PER_MINUTE');
});
