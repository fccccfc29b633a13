/** What a client may send, how much is held of it, and what is left when it goes. */
import { connect, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { assertCheap } from '../../src/grpc/scan.js';
import { picture, until } from '../support/app.js';
import { byHand, Caller, encoded, fileImages, framed, grpcApp, isRefusal, rawImage } from '../support/grpc.js';
import { pixels } from '../support/v2.js';

const nothingHeld = (app: { state: { uploads: { heldBytes: number }; inFlight: { size: number } } }) =>
  until(() => app.state.uploads.heldBytes === 0 && app.state.inFlight.size === 0);

t.test('a message that says that it is too large is refused before it has come', async (t) => {
  const { app, address } = await grpcApp(t, { MAX_REQUEST_BYTES: '10000' });
  const { stream, ended } = byHand(t, address);
  stream.write(framed(Buffer.alloc(10), { length: 10_001 }));
  const { code, text } = await ended;
  t.equal(status[code], 'RESOURCE_EXHAUSTED');
  t.match(text, /^image-too-large: the message has 10001 bytes or more; expected: at most 10000 bytes/);
  await nothingHeld(app);
  const within = byHand(t, address);
  within.stream.end(framed(Buffer.alloc(10_000)));
  t.match((await within.ended).text, /^invalid-request/, 'just within');
});

t.test('a message whose length comes in pieces is limited all the same', async (t) => {
  const { app, address } = await grpcApp(t, { MAX_REQUEST_BYTES: '10000' });
  const { stream, ended } = byHand(t, address);
  const bytes = framed(Buffer.alloc(20_000), { length: 20_000 });
  stream.write(bytes.subarray(0, 3));
  await until(() => app.state.uploads.heldBytes > 0);
  stream.write(bytes.subarray(3));
  t.equal(status[(await ended).code], 'RESOURCE_EXHAUSTED');
  await nothingHeld(app);
});

t.test('other calls have small messages', async (t) => {
  const { caller } = await grpcApp(t);
  isRefusal(t, await caller.fail('ModelReady', { name: 'x'.repeat(70_000) }), 'image-too-large');
  isRefusal(t, await caller.fail('Check', { service: 'x'.repeat(70_000) }), 'image-too-large');
});

t.test('bytes of all messages together are limited, and the slowest gives way', async (t) => {
  const { app, address, caller } = await grpcApp(t, { MAX_WAITING_BYTES: '100000' });
  const slow = byHand(t, address);
  slow.stream.write(framed(Buffer.alloc(60_000), { length: 90_000 }));
  await until(() => app.state.uploads.heldBytes >= 60_000);
  const files = fileImages([Buffer.alloc(50_000)]);
  isRefusal(t, await caller.fail('ModelInfer', files), 'unsupported-media');
  const { code, text } = await slow.ended;
  t.equal(status[code], 'UNAVAILABLE');
  t.match(text, /^overloaded: .*MAX_WAITING_BYTES/);
  await nothingHeld(app);
});

t.test('a message in tiny frames does not take far more memory than it has bytes', async (t) => {
  const { app, url, address } = await grpcApp(t);
  const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => {}).resume();
  const frame = (type: number, flags: number, stream: number, payload: Uint8Array) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const headers = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    ':authority': 'x',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  // Literals without indexing (RFC 7541, 6.2.2).
  const texts = Object.entries(headers).map(([name, value]) =>
    Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]),
  );
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(Buffer.concat([frame(4, 0, 0, Buffer.alloc(0)), frame(1, 4, 1, Buffer.concat(texts))]));
  const most = { held: 0 };
  const bytes = framed(Buffer.alloc(60_000), { length: 60_000 });
  for (let at = 0; at < 60_000 && !socket.destroyed; at += 500) {
    const single = [...bytes.subarray(at, at + 500)].map((byte) => frame(0, 0, 1, Buffer.from([byte])));
    socket.write(Buffer.concat(single));
    await new Promise((resolve) => setTimeout(resolve, 1));
    most.held = Math.max(most.held, app.state.uploads.heldBytes);
  }
  await nothingHeld(app);
  t.ok(most.held > 500_000, 'what tiny chunks take is counted');
  t.match(
    await (await fetch(`${url}/metrics`)).text(),
    /dimmer_requests_total\{status="400",reason="invalid-request"\} 1/,
    'until they take too much',
  );
});

t.test('what is held of a message is counted until it is decoded, and not twice', async (t) => {
  const { app, caller, runtime } = await grpcApp(t);
  const { uploads } = app.state;
  const held: number[] = [];
  const { score } = app.state.service.classifier;
  app.state.service.classifier.score = (...of) => {
    held.push(uploads.heldBytes);
    return score.apply(app.state.service.classifier, of);
  };
  const raw = pixels(100, 100);
  await caller.call('ModelInfer', rawImage(raw, [1, 100, 100, 3]));
  const file = await picture('png', 300, 300);
  await caller.call('ModelInfer', fileImages([file]));
  const [ofPixels = 0, ofFile = 0] = held;
  t.ok(ofPixels >= raw.length && ofPixels < raw.length + 200, 'the picture that was made of the pixels');
  t.ok(ofFile >= file.length && ofFile < file.length + 2000, 'the message that has the file');
  t.equal(uploads.heldBytes, 0);
  t.equal(runtime.history.length, 2);
});

t.test('fields that would take far more memory than they have bytes', (t) => {
  const limits = { MAX_IMAGES: 16, MAX_JSON_BYTES: 100_000 };
  const refused = (message: Uint8Array, code: string, text: RegExp) => {
    const error = t.throws(() => assertCheap(message, limits)) as unknown as { code: string; message: string };
    t.match(error, { code, message: text });
  };
  const field = (number: number, content: Uint8Array = new Uint8Array()) => {
    const length: number[] = [];
    for (let rest = content.length; ; rest >>>= 7) {
      length.push(rest > 127 ? (rest & 127) | 128 : rest);
      if (rest <= 127) break;
    }
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
  };
  const many = (one: Uint8Array, count: number) => Buffer.concat(Array(count).fill(one));
  const contents = (bytes: Uint8Array) => field(5, field(5, bytes));
  for (const number of [4, 5, 6, 9]) refused(many(field(number), 1001), 'invalid-request', /more than 1000 fields/);
  refused(field(6, many(field(2), 1001)), 'invalid-request', /more than 1000 fields/);
  refused(field(5, many(field(4), 1001)), 'invalid-request', /more than 1000 fields/);
  refused(field(5, field(3, Buffer.alloc(1001))), 'invalid-request', /more than 1000 fields and 64-bit numbers/);
  refused(field(5, many(Buffer.from([24, 1]), 1001)), 'invalid-request', /more than 1000 fields/);
  for (const number of [3, 5]) {
    refused(contents(field(number, Buffer.alloc(1001))), 'invalid-request', /more than 1000 fields/);
    refused(contents(many(Buffer.from([number << 3, 1]), 1001)), 'invalid-request', /more than 1000 fields/);
    assertCheap(contents(field(number, Buffer.alloc(990 * 9, Buffer.from([...Array(8).fill(255), 1])))), limits);
  }
  refused(many(field(7), 17), 'too-many-images', /more than 16/);
  refused(contents(many(field(8), 17)), 'too-many-images', /more than 16/);
  refused(contents(field(4, Buffer.alloc(100_001))), 'image-too-large', /more than 100000 bytes/);
  refused(contents(many(Buffer.from([32, 1]), 60_000)), 'image-too-large', /more than 100000 bytes/);
  refused(field(3, Buffer.alloc(100_001)), 'image-too-large', /more than 100000 bytes/);
  refused(Buffer.from([0]), 'invalid-request', /cannot be decoded/);
  refused(Buffer.from([0x3a, 5, 1]), 'invalid-request', /cannot be decoded/);
  refused(Buffer.alloc(500, (3 << 3) | 3), 'invalid-request', /cannot be decoded/);
  assertCheap(contents(many(field(8, Buffer.alloc(50_000)), 16)), limits);
  assertCheap(field(7, Buffer.alloc(500_000)), limits);
  assertCheap(contents(many(Buffer.from([32, 1]), 40_000)), limits);
  assertCheap(encoded(rawImage()), limits);
  t.end();
});

t.test('a message that is none', async (t) => {
  const { app, address } = await grpcApp(t);
  for (const bytes of [
    Buffer.from([0xff]),
    Buffer.from('no protobuf at all'),
    Buffer.from([0x3a, 0xff, 0xff, 0xff, 0x7f]),
  ]) {
    const { stream, ended } = byHand(t, address);
    stream.end(framed(bytes));
    const { code, text } = await ended;
    t.equal(status[code], 'INVALID_ARGUMENT');
    t.match(text, /^invalid-request: the message cannot be decoded; .*proto\/open_inference_grpc\.proto/);
  }
  await nothingHeld(app);
});

t.test('connections beyond MAX_CONNECTIONS are refused', async (t) => {
  const { address } = await grpcApp(t, { MAX_CONNECTIONS: '2' });
  const [, port] = address.split(':');
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  const open = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      sockets.push(socket);
      // The server begins with its settings.
      socket
        .once('data', () => resolve(true))
        .once('close', () => resolve(false))
        .on('error', () => {});
    });
  t.same([await open(), await open(), await open()], [true, true, false]);
  sockets[0]?.destroy();
  let opened = false;
  for (let tries = 0; tries < 100 && !opened; tries++) opened = await open();
  t.ok(opened, 'until one is closed');
});

t.test('what speaks another protocol is let go', async (t) => {
  const { address, caller } = await grpcApp(t);
  const [, port] = address.split(':');
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => {}).resume();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  const { stream, ended } = byHand(t, address, { 'content-type': 'application/json' });
  stream.end('{}');
  t.equal((await ended).headers[':status'], 415);
  await caller.call('ServerLive');
});

t.test('32 callers at once, over one connection', async (t) => {
  const { app, caller, runtime } = await grpcApp(t);
  const ids = Array.from({ length: 64 }, (_, n) => String(n));
  const answers = await Promise.all(ids.map((id) => caller.call('ModelInfer', { ...rawImage(), id })));
  t.same(
    answers.map((a) => a.message.id),
    ids,
  );
  t.equal(
    runtime.history.reduce((sum, { size }) => sum + size, 0),
    64,
  );
  await nothingHeld(app);
});

t.test('a quota counts for all protocols together', async (t) => {
  const key = 'a-key-of-sixteen-c';
  const { url, address, caller } = await grpcApp(t, { QUOTA_PER_MINUTE: '2', API_KEYS: key });
  const headers = { 'x-api-key': key };
  await caller.call('ModelInfer', rawImage(), headers);
  const body = await picture();
  t.equal((await fetch(`${url}/classify`, { method: 'POST', body, headers })).status, 200);
  isRefusal(t, await caller.fail('ModelInfer', rawImage(), headers), 'quota-exceeded');
  t.equal((await fetch(`${url}/classify`, { method: 'POST', body, headers })).status, 429);
  await caller.call('ModelInfer', rawImage());
  t.equal((await fetch(`${url}/classify`, { method: 'POST', body })).status, 200, 'without a key by address');
  const other = new Caller(t, address);
  isRefusal(t, await other.fail('ModelInfer', rawImage()), 'quota-exceeded');
  t.same((await other.call('ServerReady')).message, { ready: true }, 'only pictures count');
});
