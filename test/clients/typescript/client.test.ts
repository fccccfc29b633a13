/** The client against the service: what goes in, what comes out. */
import { createReadStream, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { Dimmer } from '../../../clients/typescript/src/index.js';
import { classification, model } from '../../../src/http/schemas.js';
import { picture, readyApp, temporaryFolder } from '../../support/app.js';

t.test('a picture is bytes, a stream or a path', async (t) => {
  const { url } = await readyApp(t);
  const dimmer = new Dimmer(url);
  const png = await picture();
  const path = join(temporaryFolder(t), 'picture.png');
  writeFileSync(path, png);
  const pictures = {
    Buffer: png,
    Uint8Array: new Uint8Array(png),
    'a view of a larger buffer': Buffer.concat([Buffer.from('before'), png, Buffer.from('after')]).subarray(
      6,
      6 + png.length,
    ),
    ArrayBuffer: new Uint8Array(png).buffer,
    Blob: new Blob([new Uint8Array(png)]),
    File: new File([new Uint8Array(png)], 'picture.png', { type: 'image/png' }),
    'a stream of the web': new Blob([new Uint8Array(png)]).stream(),
    'a stream of Node': createReadStream(path, { highWaterMark: 16 }),
    'an iterable': Readable.from([png.subarray(0, 20), png.subarray(20)]),
    'a path': path,
    'a URL': pathToFileURL(path),
  };
  for (const [kind, given] of Object.entries(pictures)) {
    const answer = await dimmer.classify(given);
    classification.parse(answer);
    t.equal(answer.results.length, 1, kind);
  }
  await t.rejects(dimmer.classify(join(path, 'none')), { code: 'ENOTDIR' }, 'a file that is not there');
  await t.rejects(dimmer.classify(Readable.from([Buffer.from('text')])), { code: 'unsupported-media' });
});

t.test('several pictures are one request, answered in their order', async (t) => {
  const { url, runtime } = await readyApp(t);
  const answer = await new Dimmer(url).classify([await picture(), new Blob([new Uint8Array(await picture('jpeg'))])]);
  t.equal(answer.results.length, 2);
  t.equal((await new Dimmer(url).classify([await picture()])).results.length, 1, 'a list of one');
  t.ok(runtime.history.length > 0);
});

t.test('options become the query and the budget', async (t) => {
  const { url } = await readyApp(t, { DEFAULT_BUDGET: 'cost=0.7' });
  const dimmer = new Dimmer(url);
  const png = await picture();
  const one = await dimmer.classify(png, { model: 'tiny', top: 2, instance: 'p02-r500', budget: { cost: 0.7 } });
  t.equal(one.results[0]?.predictions.length, 2);
  t.equal(one.results[0]?.model_instance.id, 'p02-r500');
  t.same(one.budget, { cost: 0.7, strict: true, met: true });
  t.equal((await dimmer.classify(png)).budget.cost, 0.7, 'no budget: the default of the service');
  t.same((await dimmer.classify(png, { budget: {} })).budget, { strict: true, met: true }, '{}: no limit');
  t.equal((await dimmer.classify(png, { budget: undefined, model: undefined })).budget.cost, 0.7);
  await t.rejects(dimmer.classify(png, { budget: { cost: Number.NaN } }), TypeError);
});

t.test('families', async (t) => {
  const { url } = await readyApp(t);
  const dimmer = new Dimmer(new URL(url));
  const [tiny, ...others] = await dimmer.models();
  t.same(others, []);
  t.same(await dimmer.model('tiny'), tiny);
  t.equal(model.parse(tiny).name, 'tiny');
});

t.test('every path is there, typed', async (t) => {
  const { url } = await readyApp(t);
  const { api } = new Dimmer(`${url}/`);
  const { data, error } = await api.GET('/readyz');
  t.same([data, error], [{ status: 'ready' }, undefined]);
  const unknown = await api.GET('/models/{name}', { params: { path: { name: 'a/b c?' } } });
  t.equal(unknown.error?.type, 'urn:dimmer:problem:unknown-model', 'and refusals are not thrown');
});

t.test('the key and the pictures are for the host that was named', async (t) => {
  const asked: string[] = [];
  const elsewhere = createServer((request, response) => {
    asked.push(String(request.headers['x-api-key']));
    response.end('{"models":[]}');
  });
  const moved = createServer((_request, response) => {
    response.writeHead(307, { Location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/models` }).end();
  });
  for (const server of [elsewhere, moved]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close().closeAllConnections());
  }
  const dimmer = new Dimmer(`http://127.0.0.1:${(moved.address() as AddressInfo).port}`, { apiKey: 'mine' });
  await t.rejects(dimmer.models(), TypeError);
  await t.rejects(dimmer.classify(Buffer.from('x')), TypeError);
  t.same(asked, []);
});

t.test('a path is for Node', async (t) => {
  const { getBuiltinModule } = process;
  t.teardown(() => Object.assign(process, { getBuiltinModule }));
  Object.assign(process, { getBuiltinModule: undefined });
  await t.rejects(new Dimmer('http://localhost').classify('cat.jpg'), /in Node only/);
});

t.test('a stream that stalls ends with the signal, one that fails with its error', async (t) => {
  const dimmer = new Dimmer('http://localhost', { fetch: () => Promise.reject(new Error('nothing to send')) });
  const streams: (() => ReadableStream<Uint8Array> | Readable)[] = [
    () => new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(9)) }),
    () => new Readable({ read() {} }),
  ];
  for (const make of streams) {
    const given = new AbortController();
    const classified = dimmer.classify(make(), { signal: given.signal });
    given.abort(new Error('enough'));
    await t.rejects(classified, /enough/);
  }
  const failing = new Readable({ read: () => failing.destroy(new Error('the disk is gone')) });
  await t.rejects(dimmer.classify(failing), /the disk is gone/);
});
