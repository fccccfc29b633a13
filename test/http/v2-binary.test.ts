/** Tensors as binary data, and bodies that come compressed. */
import { deflateSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { inferResponse } from '../../src/oip/schemas.js';
import { picturesOf } from '../../src/oip/tensors.js';
import { picture, readyApp, until } from '../support/app.js';
import { converse } from '../support/raw.js';
import {
  bytesTensor,
  filesInput,
  INFER,
  imageInput,
  isAnswer,
  isV2Error,
  pixels,
  post,
  withBinary,
} from '../support/v2.js';

const { data: _, ...image } = imageInput(undefined);
/** An input whose data follows the JSON. */
const binary = (tensor: Uint8Array, input: object = image) => ({
  ...input,
  parameters: { binary_data_size: tensor.length },
});
const files = (count: number) => ({ name: 'image_bytes', shape: [count], datatype: 'BYTES' });

/** JSON and what follows it, as the headers say. */
async function parts(response: Response) {
  const bytes = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length'));
  return { answer: inferResponse.parse(JSON.parse(bytes.toString('utf8', 0, length))), rest: bytes.subarray(length) };
}

const floats = (bytes: Buffer) => Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readFloatLE(4 * n));

t.test('inputs as binary data are the same as in JSON', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  const raw = pixels();
  const pictures = [await picture(), await picture('jpeg')];
  await isAnswer(t, await post(url, ...withBinary({ inputs: [binary(raw)] }, raw)));
  t.same(Buffer.from(runtime.history[0]?.images ?? new ArrayBuffer(0)), raw);
  const tensor = bytesTensor(pictures);
  const { outputs } = await isAnswer(t, await post(url, ...withBinary({ inputs: [binary(tensor, files(2))] }, tensor)));
  t.same((await isAnswer(t, await post(url, { inputs: [filesInput(pictures)] }))).outputs, outputs);
  t.equal(app.state.uploads.heldBytes, 0);
});

t.test('outputs as binary data, all or some', async (t) => {
  const { url } = await readyApp(t);
  const inputs = [filesInput([await picture(), await picture()])];
  const all = await post(url, { id: 'ä', inputs, parameters: { binary_data_output: true } });
  t.equal(all.headers.get('content-type'), 'application/octet-stream');
  const { answer, rest } = await parts(all);
  t.equal(answer.id, 'ä', 'lengths are of bytes');
  t.match(answer.outputs, [
    { name: 'probabilities', shape: [2, 3], datatype: 'FP32', parameters: { binary_data_size: 24 } },
    { name: 'logits', shape: [2, 3], datatype: 'FP32', parameters: { binary_data_size: 24 } },
  ]);
  t.ok(answer.outputs.every((o) => o.data === undefined));
  t.equal(rest.length, 48);
  t.same(floats(rest.subarray(24)), [4, 0, 0, 4, 0, 0]);
  const named = [{ name: 'logits', parameters: { binary_data: true } }, { name: 'probabilities' }];
  const some = await parts(await post(url, { inputs, outputs: named }));
  t.same(
    some.answer.outputs.map((o) => [o.name, o.data === undefined]),
    [
      ['logits', true],
      ['probabilities', false],
    ],
  );
  t.same(floats(some.rest), [4, 0, 0, 4, 0, 0]);
  const but = [{ name: 'logits', parameters: { binary_data: false } }];
  const none = await isAnswer(t, await post(url, { inputs, outputs: but, parameters: { binary_data_output: true } }));
  t.same(none.outputs[0]?.data, [4, 0, 0, 4, 0, 0], 'an output says more than all');
  const labels = [{ name: 'logits', parameters: { binary_data: true, classification: 1 } }];
  const classes = await parts(await post(url, { inputs, outputs: labels }));
  t.match(classes.answer.outputs, [{ shape: [2, 1], datatype: 'BYTES', parameters: { binary_data_size: 32 } }]);
  t.same(classes.rest, bytesTensor([Buffer.from('4:0:diagonal'), Buffer.from('4:0:diagonal')]));
});

t.test('one picture file alone, and all outputs as binary data', async (t) => {
  const { url } = await readyApp(t);
  const { answer, rest } = await parts(
    await post(url, await picture('jpeg'), { 'Inference-Header-Content-Length': '0' }),
  );
  t.match(answer, { model_name: 'tiny', outputs: [{ name: 'probabilities' }, { name: 'logits' }] });
  t.same(floats(rest.subarray(12)), [4, 0, 0]);
});

t.test('compressed bodies, any or no Content-Type, chunked', async (t) => {
  const { app, url } = await readyApp(t);
  const raw = pixels();
  const [body, headers] = withBinary({ inputs: [binary(raw)] }, raw);
  const codings = [
    ['gzip', gzipSync(body)],
    ['x-gzip', gzipSync(body)],
    ['GZIP', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['identity', body],
  ] as const;
  for (const [coding, packed] of codings) {
    await isAnswer(t, await post(url, packed, { ...headers, 'Content-Encoding': coding }));
    const stream = new Blob([packed]).stream();
    const chunked = {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { ...headers, 'Content-Encoding': coding },
    };
    await isAnswer(t, await fetch(`${url}${INFER}`, chunked as RequestInit));
  }
  for (const type of ['application/json', 'application/octet-stream', 'application/x-www-form-urlencoded', 'nonsense'])
    await isAnswer(t, await post(url, body, { ...headers, 'Content-Type': type }));
  t.equal(app.state.uploads.heldBytes, 0);
});

t.test('limits hold for what comes out', async (t) => {
  const { app, url } = await readyApp(t, {
    MAX_JSON_BYTES: '50000',
    MAX_REQUEST_BYTES: '100000',
    MAX_IMAGE_BYTES: '60000',
  });
  const send = (bytes: number, headers: Record<string, string>) =>
    post(url, gzipSync(Buffer.alloc(bytes, ' ')), { 'Content-Encoding': 'gzip', ...headers });
  const header = (length: number) => ({ 'Inference-Header-Content-Length': String(length) });
  t.match(await isV2Error(t, await send(50_000, {}), 'invalid-request'), 'the body is no JSON', 'just within');
  t.match(await isV2Error(t, await send(50_001, {}), 'image-too-large'), 'more than 50000 bytes');
  await isV2Error(t, await send(50_000_000, {}), 'image-too-large');
  await isV2Error(t, await send(100_001, header(10)), 'image-too-large');
  await isV2Error(t, await send(100_000, header(10)), 'invalid-request');
  await isV2Error(t, await send(60_001, header(0)), 'image-too-large');
  await isV2Error(t, await send(60_000, header(0)), 'unsupported-media');
  await until(() => app.state.uploads.heldBytes === 0);
});

t.test('bodies that are not what their headers say', async (t) => {
  const { app, url } = await readyApp(t);
  const raw = pixels();
  const [body, headers] = withBinary({ inputs: [binary(raw)] }, raw);
  const packed = gzipSync(body);
  const sent: [body: Buffer, headers: Record<string, string>, text: RegExp][] = [
    [packed.subarray(0, 40), { ...headers, 'Content-Encoding': 'gzip' }, /not whole in the format/],
    [body, { ...headers, 'Content-Encoding': 'gzip' }, /not whole in the format/],
    [body, { ...headers, 'Content-Encoding': 'deflate' }, /zlib format/],
    [Buffer.alloc(0), { ...headers, 'Content-Encoding': 'gzip' }, /not whole|the body has 0 bytes/],
    [body, {}, /not in UTF-8.*Inference-Header-Content-Length/],
    [body, { 'Inference-Header-Content-Length': String(body.length + 1) }, /and the body has/],
    [body, { 'Inference-Header-Content-Length': '5' }, /the body is no JSON/],
    [body, { 'Inference-Header-Content-Length': 'x' }, /Inference-Header-Content-Length is "x"/],
    [body, { 'Inference-Header-Content-Length': '-1' }, /Inference-Header-Content-Length is "-1"/],
    [body.subarray(0, -1), headers, /binary_data_size 768, and 767 bytes follow/],
    [Buffer.concat([body, raw]), headers, /binary_data_size 768, and 1536 bytes follow/],
    [...withBinary({ inputs: [imageInput([...raw])] }, raw), /768 bytes follow the JSON, and no input has them/],
    [...withBinary({ inputs: [{ ...binary(raw), data: [...raw] }] }, raw), /data and binary_data_size/],
    [...withBinary({ inputs: [binary(raw, { ...image, shape: [1, 16, 15, 3] })] }, raw), /768 bytes; expected: 720/],
    [...withBinary({ inputs: [binary(raw, files(1))] }, raw), /ends beyond its data/],
    [...withBinary({ inputs: [binary(raw.subarray(0, 3), files(1))] }, raw.subarray(0, 3)), /ends beyond its data/],
    [
      ...withBinary({ inputs: [binary(Buffer.alloc(8), files(1))] }, Buffer.alloc(8)),
      /more than 1 elements; expected: 1/,
    ],
    [...withBinary({ inputs: [binary(Buffer.alloc(0), files(1))] }, Buffer.alloc(0)), /0 elements; expected: 1/],
  ];
  for (const [bytes, of, text] of sent)
    t.match(await isV2Error(t, await post(url, bytes, of), 'invalid-request'), text);
  const other = await isV2Error(
    t,
    await post(url, body, { ...headers, 'Content-Encoding': 'br' }),
    'unsupported-media',
  );
  t.match(other, 'gzip, deflate');
  t.equal(app.state.uploads.heldBytes, 0);
  await isAnswer(t, await post(url, body, headers));
});

t.test('what follows a compressed body does not block the connection', async (t) => {
  const { url } = await readyApp(t);
  const raw = pixels();
  const [body, headers] = withBinary({ inputs: [binary(raw)] }, raw);
  const rest = Buffer.alloc(1_000_000); // more than all buffers on its way hold
  for (const [coding, pack] of [
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ] as const) {
    const packed = Buffer.concat([pack(body), rest]);
    const of = { ...headers, 'Content-Encoding': coding, 'Content-Length': String(packed.length), Host: 'x' };
    const head = Object.entries(of).map(([name, value]) => `${name}: ${value}\r\n`);
    const { answers } = await converse(
      url,
      [`POST ${INFER} HTTP/1.1\r\n${head.join('')}\r\n`, packed, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'],
      { most: 2 },
    );
    t.same(
      answers.map(({ status }) => status),
      [200, 200],
      coding,
    );
  }
});

t.test('of elements there are no more made than the shape says', (t) => {
  const limits = { MAX_IMAGES: 16, MAX_IMAGE_BYTES: 100 };
  const count = 1_000_000; // each would become an object; they take 4 MB here
  const input = { name: 'image_bytes', datatype: 'BYTES', shape: [2], data: undefined };
  const before = process.memoryUsage().heapUsed;
  const binary = Buffer.alloc(4 * count);
  t.throws(() => picturesOf({ ...input, binary }, limits), { message: /more than 2 elements/ });
  const data = Array(count).fill('');
  t.throws(() => picturesOf({ ...input, data, binary: undefined }, limits), { message: /1000000 elements/ });
  t.ok(process.memoryUsage().heapUsed - before < 50 * count, 'far less than the 100 bytes of an object for each');
  t.end();
});

t.test('a client that goes in the middle of a compressed body leaves nothing behind', async (t) => {
  const { app, url } = await readyApp(t);
  const { connect } = await import('node:net');
  const packed = gzipSync(Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * n * 31) % 251)));
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(
    `POST ${INFER} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`,
  );
  socket.write(packed.subarray(0, Math.floor(packed.length / 2)));
  await until(() => app.state.uploads.heldBytes > 0);
  socket.resetAndDestroy();
  await until(() => app.state.uploads.heldBytes === 0 && app.state.inFlight.size === 0);
  t.match(await (await fetch(`${url}/metrics`)).text(), /dimmer_requests_total\{status="499",reason="client-gone"\} 1/);
});
