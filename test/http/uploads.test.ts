import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { ClientGone, Uploads } from '../../src/http/uploads.js';
import { FakeClock, settle } from '../support/fake-clock.js';

const LIMITS = { MAX_WAITING_BYTES: 1_000_000, REQUEST_TIMEOUT_MS: 30_000, MIN_UPLOAD_BYTES_PER_S: 1000 };

function setUp(limits: Partial<typeof LIMITS> = {}) {
  const clock = new FakeClock();
  const state = { draining: false };
  const uploads = new Uploads({ ...LIMITS, ...limits }, clock, () => state.draining);
  /** A fake client, which sends what the test says, and the body that is read from it. */
  const upload = (mostBytes = 500_000) => {
    const client = new PassThrough();
    const body = uploads.read(client as unknown as IncomingMessage, mostBytes);
    body.catch(() => {}); // looked at later
    const send = async (bytes: Buffer | string) => {
      client.write(bytes);
      await settle();
    };
    return { client, body, send };
  };
  /** Advances the clock while each of the clients sends `bytes` a second. */
  const pass = async (seconds: number, clients: { send(b: Buffer): Promise<void> }[] = [], bytesPerS = 0) => {
    for (let n = 0; n < seconds; n++) {
      for (const { send } of clients) await send(Buffer.alloc(bytesPerS, 1));
      await clock.pass(1000);
      uploads.check();
      await settle();
    }
  };
  return { clock, state, uploads, upload, pass };
}

t.test('chunks of every size come together in order', async (t) => {
  const { clock, uploads, upload } = setUp({ MAX_WAITING_BYTES: 10_000_000 });
  const whole = Buffer.alloc(700_000, 0).map((_, i) => (i * 31 + (i >> 8)) % 251);
  const sizes = [1, 1, 3, 20_000, 1, 65_536, 65_535, 16_384, 16_383, 2, 70_000, 5];
  const { client, body } = upload(700_000);
  for (let at = 0, n = 0; at < whole.length; n++) {
    const size = sizes[n % sizes.length] as number;
    client.write(whole.subarray(at, at + size));
    at += size;
    await settle();
  }
  t.equal(uploads.heldBytes, 700_000);
  await clock.pass(7);
  client.end();
  const { bytes, readMs, release } = await body;
  t.ok(bytes.equals(whole));
  t.equal(readMs, 7);
  t.equal(uploads.heldBytes, 700_000, 'until it is released');
  release();
  release();
  t.equal(uploads.heldBytes, 0, 'once');
});

t.test('a body in one-byte chunks takes no more memory than its bytes and a block', async (t) => {
  const { uploads, upload } = setUp();
  const { client, body } = upload();
  const bytes = 200_000;
  global.gc?.();
  const before = process.memoryUsage();
  for (let n = 0; n < bytes; n++) {
    client.emit('data', Buffer.from([n % 256])); // as the HTTP parser hands it over: a buffer of its own
  }
  const { arrayBuffers } = process.memoryUsage();
  // Kept as they come, they would be 200,000 buffers of an ArrayBuffer each, or of slices of a pool that live as long.
  t.ok(arrayBuffers - before.arrayBuffers < 20 * bytes);
  t.equal(uploads.heldBytes, bytes);
  client.end();
  t.equal((await body).bytes.length, bytes);
});

t.test('an empty body is a valid body', async (t) => {
  const { upload } = setUp();
  const { client, body } = upload();
  client.end();
  t.equal((await body).bytes.length, 0);
});

t.test('more bytes than the request may have', async (t) => {
  const { uploads, upload } = setUp();
  const { body, send } = upload(100);
  await send(Buffer.alloc(101));
  await t.rejects(body, { code: 'image-too-large', facts: { detail: /more than 100 bytes/ } });
  t.equal(uploads.heldBytes, 0);
});

t.test('the bytes of a client that disconnects are released', async (t) => {
  const { uploads, upload } = setUp();
  const { client, body, send } = upload();
  await send('some');
  t.equal(uploads.heldBytes, 4);
  client.destroy();
  await t.rejects(body, ClientGone);
  t.equal(uploads.heldBytes, 0);
  const gone = new PassThrough();
  gone.destroy();
  await t.rejects(uploads.read(gone as unknown as IncomingMessage, 1), ClientGone, 'before it is read');
});

t.test('an upload that takes too long as a whole', async (t) => {
  const { upload, pass } = setUp();
  const one = upload();
  await pass(29, [one], 2000);
  await pass(1, [one], 2000);
  await t.rejects(one.body, { code: 'request-timeout', facts: { expected: /30000 ms/ } });
});

t.test('an upload that is too slow, from the start or later', async (t) => {
  const { upload, pass } = setUp();
  const [slow, good, later] = [upload(), upload(), upload()];
  await pass(4, [good, later], 1000);
  await slow.send('x');
  let failed = false;
  slow.body.catch(() => {
    failed = true;
  });
  await settle();
  t.notOk(failed, 'not before five seconds');
  await pass(1, [good, later], 1000);
  await t.rejects(slow.body, { code: 'request-timeout', facts: { detail: /0 bytes a second/ } });
  await later.send(Buffer.alloc(100_000));
  await pass(6, [good], 1000);
  await pass(5, [good], 1000);
  await t.rejects(later.body, { code: 'request-timeout' }, 'what it sent before does not count');
  good.client.end();
  t.equal((await good.body).bytes.length, 16_000);
});

t.test('announced bytes do not count; the upload of a slow client is refused to make room', async (t) => {
  const { uploads, upload, pass, clock } = setUp({ MAX_WAITING_BYTES: 1000, MIN_UPLOAD_BYTES_PER_S: 1 });
  const idle = Array.from({ length: 50 }, () => upload());
  t.equal(uploads.heldBytes, 0);
  const slow = upload();
  await slow.send(Buffer.alloc(700));
  await pass(2, idle, 1);
  const quick = upload();
  await quick.send(Buffer.alloc(300));
  await t.rejects(slow.body, { code: 'overloaded', facts: { retryAfterS: 1 } });
  t.equal(uploads.heldBytes, 400);
  quick.client.end();
  const { release } = await quick.body;
  const newest = upload();
  await newest.send(Buffer.alloc(500));
  await clock.pass(1);
  await newest.send(Buffer.alloc(200));
  await t.rejects(newest.body, { code: 'overloaded' }, 'if nobody else has taken more');
  release();
});

t.test('while draining, an upload that goes on is finished and one that stalls is not', async (t) => {
  const { clock, state, uploads, upload } = setUp();
  const [stalled, goes] = [upload(), upload()];
  await stalled.send('x');
  state.draining = true;
  for (let n = 0; n < 5; n++) {
    await goes.send('x');
    await clock.pass(250);
    uploads.check();
  }
  await t.rejects(stalled.body, { code: 'draining', facts: { retryAfterS: 1 } });
  goes.client.end();
  t.equal((await goes.body).bytes.length, 5);
});

t.test('a body that somebody else reads and keeps', async (t) => {
  const { clock, state, uploads, pass } = setUp({ MAX_WAITING_BYTES: 10_000_000 });
  /** A body that is read by another listener, as a library does. */
  const watch = (mostBytes = 500_000) => {
    const client = new PassThrough().pause();
    const failed: string[] = [];
    const watched = uploads.watch(client, mostBytes, (error) => failed.push(error.code));
    let read = 0;
    client.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    client.resume();
    const send = async (bytes: Buffer) => {
      client.write(bytes);
      await settle();
    };
    return { client, watched, failed, send, read: () => read };
  };

  await t.test('counts until it is released, whatever becomes of it', async (t) => {
    const { client, watched, failed, send, read } = watch();
    await send(Buffer.alloc(40_000));
    t.ok(uploads.heldBytes >= 40_000 && uploads.heldBytes < 41_000, 'with some bytes for the chunk');
    t.equal(read(), 40_000);
    await clock.pass(5);
    await send(Buffer.alloc(1));
    t.equal(watched.readMs, clock.now());
    client.end();
    await settle();
    watched.becomes(10);
    t.equal(uploads.heldBytes, 10);
    watched.release();
    watched.release();
    watched.becomes(99);
    t.equal(uploads.heldBytes, 0);
    t.same(failed, []);
  });

  await t.test('fails once, for the reasons of any body', async (t) => {
    const large = watch(100);
    await large.send(Buffer.alloc(101));
    await large.send(Buffer.alloc(101));
    t.same(large.failed, ['image-too-large']);
    const tiny = watch();
    for (let n = 0; n < 11_000; n++) tiny.client.emit('data', Buffer.alloc(1));
    t.same(tiny.failed, ['invalid-request'], 'each chunk takes more than its bytes');
    const slow = watch();
    await pass(5);
    t.same(slow.failed, ['request-timeout']);
    const late = watch();
    const done = watch();
    done.client.end();
    await settle();
    state.draining = true;
    await pass(1);
    t.same([late.failed, done.failed], [['draining'], []]);
    t.equal(uploads.heldBytes, 0);
  });
});

t.test('a timer checks uploads while there are any', async (t) => {
  const keepAlive = setTimeout(() => {}, 30_000); // the timer of uploads does not
  t.teardown(() => clearTimeout(keepAlive));
  const clock = new FakeClock();
  const uploads = new Uploads(LIMITS, clock, () => true);
  const client = new PassThrough();
  const body = uploads.read(client as unknown as IncomingMessage, 10);
  await clock.pass(500);
  await t.rejects(body, { code: 'draining' });
});
