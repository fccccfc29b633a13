/**
 * A decoding process: hands one picture at a time to sharp and sends back its pixels. It lives as long as the channel to
 * the service does.
 */
import { Socket } from 'node:net';
import { DimmerError, messageOf } from '../errors.js';
import { Channel } from './channel.js';
import { decode, inspect, samplePicture, warmDecoder } from './decode.js';
import { CHANNEL_FD, type HeadFromProcess, type HeadToProcess, type Reply, type ToProcess } from './messages.js';

/**
 * A picture of more takes longer than a thumbnail may wait, 10 ms and more, in almost every kind; known too late, a burst
 * of such ones would take every place.
 */
const LONG_PIXELS = 1_000_000;

// A terminal's Ctrl-C and some supervisors signal every process of a service. What was accepted is finished first: the
// service says when to end, by a message or by closing the channel.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {});

const socket = new Socket({ fd: CHANNEL_FD });
let told = false;
// Told to, it ends in order. If the service has died it ends as well, whatever it decodes: exit() would wait for that.
socket.once('close', () => (told ? process.exit(0) : process.kill(process.pid, 'SIGKILL')));

const channel = new Channel<HeadToProcess>(socket, async (head, bytes) => {
  if (head.type === 'close') {
    told = true;
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
