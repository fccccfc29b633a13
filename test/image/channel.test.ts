import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { Channel } from '../../src/image/channel.js';

type Received = [head: unknown, bytes: Buffer];

t.test('messages arrive whole and in order, however the bytes are split', async (t) => {
  const sent: [unknown, Uint8Array | undefined][] = [
    [{ type: 'a' }, undefined],
    [{ type: 'b', text: 'ü\n' }, Buffer.alloc(100_000, 7)],
    [{}, Buffer.from([1])],
    [{ type: 'c' }, new Uint8Array()],
  ];
  const wire = new PassThrough();
  const sender = new Channel(wire as unknown as Socket, () => {});
  const bytes: Buffer[] = [];
  wire.on('data', (chunk: Buffer) => bytes.push(chunk));
  for (const [head, payload] of sent) sender.send(head, payload);
  await new Promise(setImmediate);
  const all = Buffer.concat(bytes);
  for (const size of [1, 7, 8, 9, 65_536, all.length]) {
    const received: Received[] = [];
    const socket = new PassThrough();
    new Channel(socket as unknown as Socket, (head, bytes) => received.push([head, bytes]));
    for (let at = 0; at < all.length; at += size) socket.write(all.subarray(at, at + size));
    await new Promise(setImmediate);
    t.same(
      received.map(([head, bytes]) => [head, bytes.length, bytes.at(-1)]),
      sent.map(([head, payload]) => [head, payload?.length ?? 0, payload?.at(-1)]),
      `${size} bytes at a time`,
    );
  }
});

t.test('an empty head and no bytes do not stop what follows', async (t) => {
  const received: Received[] = [];
  const socket = new PassThrough();
  const channel = new Channel(socket as unknown as Socket, (head, bytes) => received.push([head, bytes]));
  channel.send({ n: 1 });
  channel.send({ n: 2 });
  await new Promise(setImmediate);
  t.same(
    received.map(([head]) => head),
    [{ n: 1 }, { n: 2 }],
  );
  socket.destroy(new Error('broken'));
  await new Promise(setImmediate);
  t.doesNotThrow(() => channel.send({ n: 3 }), 'the other side has gone');
});
