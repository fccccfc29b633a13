/**
 * A decoding process: hands one picture at a time to sharp and sends back its pixels. It lives as long as the channel to
 * the service does.
 */
import { DimmerError, messageOf } from '../errors.js';
import { decode, inspect, samplePicture, warmDecoder } from './decode.js';
import type { FromProcess, Reply, ToProcess } from './messages.js';

// A terminal's Ctrl-C and some supervisors signal every process of a service. What was accepted is finished first: the
// service says when to end, by a message or by closing the channel.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(0));

const send = (reply: Reply | { type: 'ready' }) => {
  const { user, system } = process.cpuUsage();
  process.send?.({ ...reply, cpuMs: (user + system) / 1000 } satisfies FromProcess);
};

process.on('message', async (message: ToProcess) => {
  if (message.type === 'close') return process.disconnect();
  send(await replyTo(message));
});
send({ type: 'ready' });

async function replyTo(message: Exclude<ToProcess, { type: 'close' }>): Promise<Reply> {
  try {
    switch (message.type) {
      case 'warm':
        return { type: 'bytes', bytes: await warmDecoder(message.rule) };
      case 'sample':
        return { type: 'bytes', bytes: await samplePicture(message.width, message.height) };
      case 'decode': {
        const { bytes, rule, limits } = message;
        const header = await inspect(bytes, rule, limits);
        if (header.memoryBytes > message.memoryBytes) {
          return { type: 'needs-memory', memoryBytes: header.memoryBytes };
        }
        return { type: 'bytes', bytes: await decode(bytes, header, rule, limits) };
      }
    }
  } catch (error) {
    if (error instanceof DimmerError) return { type: 'refused', code: error.code, facts: error.facts };
    return { type: 'failed', message: messageOf(error) };
  }
}
