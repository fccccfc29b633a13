import type { IncomingMessage } from 'node:http';
import { BlockList } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../../config.js';
import { EVERY_MS } from '../live.js';
import type { State } from '../state.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** What proxies add. With one of them the peer is the proxy, and says nothing of who looks at the page. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip'];

/** Whether this client may be offered to send a burst. It only decides what the page shows: /classify has limits of its own. */
export function offersLoad(
  { LOAD_BUTTON }: Pick<Config, 'LOAD_BUTTON'>,
  { socket, headers }: IncomingMessage,
): boolean {
  if (LOAD_BUTTON === 'on') return true;
  const { remoteAddress = '' } = socket;
  const here = loopback.check(remoteAddress, remoteAddress.includes(':') ? 'ipv6' : 'ipv4');
  return here && FORWARDED.every((name) => headers[name] === undefined);
}

export function liveRoute(app: FastifyInstance, state: State): void {
  const { watchers, config } = state;
  app.get('/live', (request, reply) => {
    const { runtime } = state.service; // raises while there is nothing to watch, and while draining
    reply.type('text/event-stream').header('Cache-Control', 'no-store');
    reply.header('X-Accel-Buffering', 'no'); // or nginx would collect events until it has some kB of them
    if (request.method === 'HEAD') return reply.send();
    const offer = offersLoad(config, request.raw);
    const stream = watchers.join({ everyMs: EVERY_MS, loadButton: offer, engineThreads: runtime.threads });
    reply.raw.once('close', () => watchers.leave(stream));
    return reply.send(stream);
  });
  // Again, for those who came in between: the server waits for all answers.
  app.addHook('preClose', async () => watchers.close());
}
