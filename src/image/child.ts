/**
 * A decoding process: decodes one picture at a time with sharp and sends back its pixels. It ends when the channel to
 * the service closes.
 */
import { Socket } from 'node:net';
import { DimmerError, messageOf } from '../errors.js';
import { Channel } from './channel.js';
import { decode, inspect, samplePicture, warmDecoder } from './decode.js';
import { CHANNEL_FD, type HeadFromProcess, type HeadToProcess, type Reply, type ToProcess } from './messages.js';

/**
 * Above this number of pixels a decode counts as long: it takes 10 ms or more in almost every format. Such a picture
 * must be announced as long, because a burst of them would otherwise take every place and delay thumbnails.
 */
const LONG_PIXELS = 1_000_000;

// Ignores signals, which Ctrl-C and some supervisors send to every process of a service: accepted pictures are decoded
// first. The service ends this process by a message or by closing the channel.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});

const socket = new Socket({ fd: CHANNEL_FD });
let closeReceived = false;
// After a close message it exits normally. If the service has died, it kills itself: exit() would wait for a running
// decode.
socket.once('close', () => (closeReceived ? process.exit(0) : process.kill(process.pid, 'SIGKILL')));

const channel = new Channel<HeadToProcess>(socket, async (head, bytes) => {
  if (head.type === 'close') {
    closeReceived = true;
    socket.end();
    return;
  }
  send(await replyTo(head.type === 'decode' ? { ...head, bytes } : head));
});

function send(reply: Reply | { type: 'ready' }): void {
  const { user, system } = process.cpuUsage();
  const { bytes, ...head } = { bytes: undefined, ...reply };
  channel.send({ ...head, cpuMs: (user + system) / 1000 } satisfies HeadFromProcess, bytes);
}
send({ type: 'ready' });

async function replyTo(message: Exclude<ToProcess, { type: 'close' }>): Promise<Reply> {
  try {
    switch (message.type) {
      case 'warm':
        return { type: 'bytes', bytes: await warmDecoder(message.rule) };
      case 'sample':
        return { type: 'bytes', bytes: await samplePicture(message.width, message.height, message.kind) };
      case 'decode': {
        const { bytes, rule, limits } = message;
        const header = await inspect(bytes, rule, limits);
        if (header.memoryBytes > message.memoryBytes) {
          return { type: 'needs-memory', memoryBytes: header.memoryBytes };
        }
        if (!message.long && header.width * header.height > LONG_PIXELS) return { type: 'takes-long' };
        return { type: 'bytes', bytes: await decode(bytes, header, rule, limits) };
      }
    }
  } catch (error) {
    if (error instanceof DimmerError) return { type: 'refused', code: error.code, facts: error.facts };
    return { type: 'failed', message: messageOf(error) };
  }
}
